//! Conversations and mailboxes on disk. One file for each transaction or read; what comes out is of the domain.
//!
//! Locks are taken in one order: conversation, participants, mailboxes, each in the order of their ids. What is counted is
//! counted in a statement after the locks, or computed from locked rows alone.

mod changes;
mod entity;
pub mod export;
mod list_conversations;
mod list_messages;
mod mailbox;
mod mark;
mod names;
mod open;
mod request;
mod revisions;
mod rows;
mod search;
mod send;
mod share_conversation;
mod sweep;
mod unanswered;

use carepost_audit::{Occasion, Record, Subject};
use carepost_identity::{Actor, OrganizationId};
use carepost_runtime::DatabaseFault;
use chrono::{DateTime, Utc};
use sea_orm::DatabaseConnection;

pub use changes::{Change, Changes};
pub use list_conversations::{ConversationPosition, Shelf};
pub use mark::Marking;
pub(crate) use names::NAMES_AT_ONCE;
pub use names::OtherPatient;
pub use open::Opened;
pub use revisions::Watched;
pub use search::{Found, FoundBody, Search, SearchError};
pub use send::Sent;

/// The store of one database.
#[derive(Clone, Debug)]
pub struct Store {
    database: DatabaseConnection,
}

/// Who writes, for whom, when, and for what: every transaction is given it, and writes its audit record from it.
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
    /// The record of a change, of what the call is about and of more.
    fn record(&self, more: impl IntoIterator<Item = Subject>) -> Record {
        Record::of_change(self.occasion, self.organization, self.actor, self.now, more)
    }
}

/// By which a repeated request is known, together with organization and person.
#[derive(Clone, Copy, Debug)]
pub struct RequestKey<'a> {
    /// The RPC.
    pub rpc: &'static str,
    /// The client's id of the request.
    pub id: &'a str,
    /// A digest of its content.
    pub digest: [u8; 32],
}

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The same request was carried out meanwhile: read its answer.
    #[error("the request was carried out meanwhile")]
    KnownRequest,
    /// A message came after the last one that the person saw: the conversation has reached this sequence.
    #[error("a newer message came: {0}")]
    NewerMessage(i64),
    /// The database.
    #[error(transparent)]
    Database(DatabaseFault),
    /// What is stored is not what this version writes.
    #[error("a stored {0} cannot be read")]
    Corrupt(&'static str),
}

impl<E: Into<DatabaseFault>> From<E> for StoreError {
    fn from(error: E) -> Self {
        match error.into() {
            DatabaseFault::Conflict { constraint } if constraint.starts_with("request") => Self::KnownRequest,
            fault => Self::Database(fault),
        }
    }
}

/// The statements of a reply on PostgreSQL, in their order: the read before it and the write. They are for `tests/bench`, which
/// holds a reply against these very statements without the service around them; `open.rs` and `send.rs` tell their parameters.
#[must_use]
pub fn statements() -> [&'static str; 2] {
    [open::OPEN, send::POSTGRES_REPLY]
}

/// The statements that ask the index of PostgreSQL, by words and by symbols, for those who look at their plans: `search/read.rs`
/// tells their parameters.
#[must_use]
pub fn search_statements() -> [&'static str; 2] {
    [search::BY_WORDS, search::BY_SYMBOLS]
}

/// The statement that counts on PostgreSQL what waits for an answer, for those who look at its plan: `unanswered.rs` tells its
/// parameters.
#[must_use]
pub fn unanswered_statement() -> &'static str {
    unanswered::BY_STAFF
}

impl Store {
    /// The store of this database.
    #[must_use]
    pub fn new(database: DatabaseConnection) -> Self {
        Self { database }
    }
}
