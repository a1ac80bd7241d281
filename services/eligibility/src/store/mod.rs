//! The database: one file per transaction or read. All return domain types; nothing else knows a table.

use std::sync::Arc;

use carepost_audit::Occasion;
use carepost_identity::{Actor, OrganizationId};
use carepost_runtime::DatabaseFault;
use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;
use tokio::sync::Notify;

mod bulk;
mod changed;
mod clock;
mod compose;
mod delete;
mod email_recipient;
mod facts;
mod get;
mod import_group;
mod import_run;
mod names;
mod read_facts;
mod recipients;
mod reconcile;
mod references;
mod row;
mod settings;
mod settings_history;
mod settings_rows;
mod settings_update;
mod sql;
mod statistics;
mod tables;
mod trail;
mod windows;
mod write_entries;
mod write_records;
mod write_seeds;

pub use compose::{PortalUserCompose, StaffCompose};
pub use email_recipient::EmailRecipient;
pub use get::{ChartFilter, Listed, Page, PortalUserFilter, StaffFilter};
pub use import_group::Fate;
pub use import_run::ImportRun;
pub use names::Names;
pub use settings::Told;
pub use settings_history::ChangePosition;
pub use settings_update::Chosen;
pub(crate) use trail::{kind_word, subject};
pub use write_entries::{Purpose, Verdict};

/// The store of one database.
#[derive(Clone, Debug)]
pub struct Store {
    database: DatabaseConnection,
    outbox: Arc<Notify>,
}

impl Store {
    /// The store of this database, which notifies the relay of its outbox.
    #[must_use]
    pub fn new(database: DatabaseConnection, outbox: Arc<Notify>) -> Self {
        Self { database, outbox }
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
    /// The lease of an import ended, and another import has begun.
    #[error("another import has taken over")]
    Superseded,
    /// The database was restarted after a crash, and no longer knows what a stream held.
    #[error("what the import has seen is lost")]
    Forgotten,
    /// The directory, or what is known of the stream, changed after the plan was made: more would go than it said.
    #[error("more would be taken away than was planned")]
    MoreThanPlanned,
    /// The process stops, or the import takes too long.
    #[error("the import was told to end")]
    Halted,
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
    /// The time of the write, by the clock of this replica. Records are stamped by the database's.
    pub now: DateTime<Utc>,
    /// The call, as the audit trail tells of it.
    pub occasion: &'a Occasion,
}
