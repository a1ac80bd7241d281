//! The ledger of emails on disk, in PostgreSQL or SQLite. One file for each transaction or read; what comes out is of the
//! domain. Every write is one transaction, and only the claim has two forms of SQL.

mod claim;
mod deliveries;
mod entity;
mod finish;
mod get;
mod preferences;
mod record;
mod release;
mod retry;
mod rows;
#[cfg(test)]
mod tests;
mod waiting;

use std::time::Duration;

use carepost_audit::{Occasion, Record, Subject};
use carepost_identity::{Actor, OrganizationId};
use carepost_runtime::DatabaseFault;
use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use tokio::time::timeout;

pub use claim::{Claim, Claimed};
pub use deliveries::{DeliveryFilter, DeliveryPosition};

/// How long a transaction of the mailer or the inbox may take in all, whatever the database itself allows: a machine that is
/// gone gives nothing up. A call has a deadline of its own.
const PATIENCE: Duration = Duration::from_secs(10);

/// The store of one database.
#[derive(Clone, Debug)]
pub struct Store {
    database: DatabaseConnection,
}

/// Who writes, for whom, when, and for what: every transaction is given it.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The organization.
    pub organization: &'a OrganizationId,
    /// Who acts, and on whose behalf.
    pub actor: &'a Actor,
    /// When.
    pub now: DateTime<Utc>,
    /// The call, or what the service does by itself.
    pub occasion: &'a Occasion,
}

impl Write<'_> {
    /// The audit record of a change.
    fn record(&self, subject: Subject) -> Record {
        Record::of_change(self.occasion, self.organization, self.actor, self.now, [subject])
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database.
    #[error(transparent)]
    Database(DatabaseFault),
    /// What is stored is not what this version writes.
    #[error("a stored {0} cannot be read")]
    Corrupt(&'static str),
}

impl<E: Into<DatabaseFault>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

impl Store {
    /// The store of this database.
    #[must_use]
    pub fn new(database: DatabaseConnection) -> Self {
        Self { database }
    }
}

/// Gives a transaction up that takes too long. It may have been carried out.
async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let given_up = Err(StoreError::Database(DatabaseFault::Unavailable));
    timeout(PATIENCE, work).await.unwrap_or(given_up)
}
