//! The database: one file per transaction or read. All return domain types; nothing else knows a table.

use carepost_identity::{Actor, OrganizationId};
use carepost_runtime::DatabaseFault;
use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;

mod bulk;
mod email_recipient;
mod facts;
mod get;
mod read_facts;
mod recipients;
mod row;
mod sql;
mod statistics;
mod tables;
mod write_entries;
mod write_records;
mod write_seeds;

pub use email_recipient::EmailRecipient;
pub use write_entries::Verdict;

/// The store of one database.
#[derive(Clone, Debug)]
pub struct Store {
    database: DatabaseConnection,
}

impl Store {
    /// The store of this database.
    #[must_use]
    pub fn new(database: DatabaseConnection) -> Self {
        Self { database }
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
    /// Others added the same new records at the same time, again and again.
    #[error("others write the same records")]
    Contended,
}

impl<E: Into<DatabaseFault>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

/// What every writing transaction is given: for whom, by whom, and when.
#[derive(Clone, Copy, Debug)]
pub struct Write<'a> {
    /// The organization that is written to.
    pub organization: &'a OrganizationId,
    /// Who acts, and on whose behalf: for the audit trail.
    pub actor: &'a Actor,
    /// The time of the write.
    pub now: DateTime<Utc>,
}
