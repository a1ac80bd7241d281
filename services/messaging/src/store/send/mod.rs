//! A send: conversation, message, participants, mailboxes, request and outbox row, in one transaction.
//!
//! It has two forms. Both do the same; what differs is how many statements it takes.
//!
//! Whether a portal user now waits for an answer is noted by a trigger on `message`, in the same transaction (`m0007_unanswered`).

mod postgres;
mod sqlite;

use chrono::{DateTime, Utc};
use sea_orm::DbBackend;
use uuid::Uuid;

pub(super) use postgres::REPLY as POSTGRES_REPLY;

use super::{RequestKey, Store, StoreError, Write};
use crate::domain::{Mailbox, NewConversation, NewMessage};

/// What a send did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The place of the message in its conversation.
    pub sequence: i64,
    /// When it was accepted: the time of the write, but never before the message that it follows.
    pub at: DateTime<Utc>,
    /// The sender's mailbox after it.
    pub mailbox: Mailbox,
}

impl Store {
    /// Writes a new conversation with its first message.
    ///
    /// # Errors
    /// [`StoreError::KnownRequest`] if the same request was carried out meanwhile; else if the database does not answer.
    pub async fn start(
        &self,
        write: Write<'_>,
        request: RequestKey<'_>,
        conversation: NewConversation,
    ) -> Result<Sent, StoreError> {
        match self.database.get_database_backend() {
            DbBackend::Sqlite => sqlite::start(&self.database, write, request, conversation).await,
            _ => postgres::start(&self.database, write, request, conversation).await,
        }
    }

    /// Writes a message into a conversation that is there.
    ///
    /// # Errors
    /// As for [`Store::start`].
    pub async fn reply(
        &self,
        write: Write<'_>,
        request: RequestKey<'_>,
        conversation: Uuid,
        message: NewMessage,
    ) -> Result<Sent, StoreError> {
        match self.database.get_database_backend() {
            DbBackend::Sqlite => sqlite::reply(&self.database, write, request, conversation, message).await,
            _ => postgres::reply(&self.database, write, request, conversation, message).await,
        }
    }
}
