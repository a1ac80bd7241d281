//! `MarkRead`: forward only (I4).

use carepost_identity::PersonId;
use carepost_runtime::database::begin;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter,
    QuerySelect,
};
use uuid::Uuid;

use super::{RequestKey, Store, StoreError, Write, entity, mailbox, request};
use crate::domain::Answered;

impl Store {
    /// Marks what is up to a sequence as read by the person, and gives the state after it.
    ///
    /// # Errors
    /// [`StoreError::KnownRequest`] if the same request was carried out meanwhile; else if the database does not answer.
    pub async fn mark_read(
        &self,
        write: Write<'_>,
        key: RequestKey<'_>,
        person: &PersonId,
        conversation: Uuid,
        last_seen: i64,
    ) -> Result<Answered, StoreError> {
        let transaction = begin(&self.database).await?;
        let change = Change {
            transaction: &transaction,
            write,
            person,
            conversation,
        };
        let row = change.locked().await?;
        let (unread, mailbox) = if last_seen > row.last_read {
            // Counted after the lock: a send that had the row before has committed by now, and none comes in between.
            let unread = change.count_after(last_seen).await?;
            let counted = if row.archived { 0 } else { unread - row.unread };
            let mailbox = mailbox::change(&transaction, write.organization, person, counted).await?;
            change.move_to(row, last_seen, unread, mailbox.revision).await?;
            (unread, mailbox)
        } else {
            (
                row.unread,
                mailbox::read(&transaction, write.organization, person).await?,
            )
        };
        let answered = Answered {
            conversation,
            message: None,
            sequence: last_seen,
            conversation_unread: unread,
            mailbox,
            at: write.now,
        };
        request::remember(&transaction, write.organization, person, key, &answered).await?;
        transaction.commit().await?;
        Ok(answered)
    }
}

struct Change<'a> {
    transaction: &'a DatabaseTransaction,
    write: Write<'a>,
    person: &'a PersonId,
    conversation: Uuid,
}

impl Change<'_> {
    /// The person's row of the conversation. A send takes the same lock before it touches mailboxes.
    async fn locked(&self) -> Result<entity::participant::Model, StoreError> {
        let key = (
            self.write.organization.to_string(),
            self.conversation,
            self.person.to_string(),
        );
        let row = entity::participant::Entity::find_by_id(key)
            .lock_exclusive()
            .one(self.transaction)
            .await?;
        row.ok_or(StoreError::Corrupt("participant"))
    }

    async fn count_after(&self, sequence: i64) -> Result<i64, StoreError> {
        use entity::message::Column;
        let count = entity::message::Entity::find()
            .filter(Column::Organization.eq(self.write.organization.as_str()))
            .filter(Column::ConversationId.eq(self.conversation))
            .filter(Column::Sequence.gt(sequence))
            .filter(Column::Sender.ne(self.person.to_string()))
            .count(self.transaction)
            .await?;
        i64::try_from(count).map_err(|_| StoreError::Corrupt("count"))
    }

    async fn move_to(
        &self,
        row: entity::participant::Model,
        last_read: i64,
        unread: i64,
        revision: i64,
    ) -> Result<(), StoreError> {
        let mut row: entity::participant::ActiveModel = row.into();
        row.last_read = Set(last_read);
        row.unread = Set(unread);
        row.revision = Set(revision);
        row.update(self.transaction).await?;
        Ok(())
    }
}
