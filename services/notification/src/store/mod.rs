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

use carepost_identity::{Actor, OrganizationId};
use carepost_runtime::DatabaseFault;
use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;

pub use claim::{Claim, Claimed};
pub use deliveries::{DeliveryFilter, DeliveryPosition};

/// The store of one database.
#[derive(Clone, Debug)]
pub struct Store {
    database: DatabaseConnection,
}

/// Who writes, for whom and when: every transaction is given it.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The organization.
    pub organization: &'a OrganizationId,
    /// Who acts, and on whose behalf.
    pub actor: &'a Actor,
    /// When.
    pub now: DateTime<Utc>,
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
