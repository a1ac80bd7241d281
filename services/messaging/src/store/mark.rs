//! A change of a person's own side of a conversation: read, unread, archived (I1, I2, I4).

use carepost_audit::{Told, insert};
use carepost_broker::{event::Event, outbox, trace::TraceHeaders};
use carepost_identity::PersonId;
use carepost_proto::event::v1::MailboxRead;
use carepost_runtime::database::begin;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseTransaction, EntityTrait, PaginatorTrait, QueryFilter,
    QuerySelect,
};
use uuid::Uuid;

use super::{RequestKey, Store, StoreError, Write, entity, mailbox, request, rows};
use crate::domain::{Answered, Mailbox, Mark, Side};

/// What is to be changed.
#[derive(Clone, Copy, Debug)]
pub struct Marking {
    /// The conversation, which is the person's.
    pub conversation: Uuid,
    /// The change.
    pub mark: Mark,
    /// A fresh id for the event.
    pub event: Uuid,
}

impl Store {
    /// Changes the person's side of a conversation, and gives the state after it. What is so already changes nothing, and
    /// raises no revision; it is remembered like a change.
    ///
    /// # Errors
    /// [`StoreError::NewerMessage`] for an archive that has not seen the newest message; [`StoreError::KnownRequest`] if the
    /// same request was carried out meanwhile; else if the database does not answer.
    pub async fn mark(
        &self,
        write: Write<'_>,
        key: RequestKey<'_>,
        person: &PersonId,
        marking: Marking,
    ) -> Result<Answered, StoreError> {
        let transaction = begin(&self.database).await?;
        let change = Change {
            transaction: &transaction,
            write,
            person,
            marking,
        };
        let (side, mailbox) = change.carry_out().await?;
        let answered = Answered {
            conversation: marking.conversation,
            message: None,
            sequence: marking.mark.sequence(),
            conversation_unread: side.unread,
            mailbox,
            at: write.now,
        };
        request::remember(&*transaction, write.organization, person, key, &answered).await?;
        insert(&*transaction, &[write.record([])]).await?;
        transaction.commit().await?;
        write.occasion.tell(Told::Changed);
        Ok(answered)
    }
}

struct Change<'a> {
    transaction: &'a DatabaseTransaction,
    write: Write<'a>,
    person: &'a PersonId,
    marking: Marking,
}

impl Change<'_> {
    async fn carry_out(&self) -> Result<(Side, Mailbox), StoreError> {
        let row = self.locked().await?;
        let before = rows::side(&row);
        self.refuse_unseen(before).await?;
        let mark = self.marking.mark;
        let (last_read, archived) = (mark.last_read(before), mark.archived(before));
        let unread = if last_read == before.last_read {
            before.unread
        } else {
            self.count_after(last_read).await?
        };
        let after = Side {
            last_read,
            unread,
            archived,
        };
        let organization = self.write.organization;
        if after == before {
            return Ok((after, mailbox::read(self.transaction, organization, self.person).await?));
        }
        let counted = after.counted() - before.counted();
        let mailbox = mailbox::change(self.transaction, organization, self.person, counted).await?;
        self.move_to(row, after, mailbox.revision).await?;
        self.tell(mailbox.revision).await?;
        Ok((after, mailbox))
    }

    /// The person's row of the conversation. A send takes the same lock before it touches mailboxes.
    async fn locked(&self) -> Result<entity::participant::Model, StoreError> {
        let key = (
            self.write.organization.to_string(),
            self.marking.conversation,
            self.person.to_string(),
        );
        let row = entity::participant::Entity::find_by_id(key)
            .lock_exclusive()
            .one(self.transaction)
            .await?;
        row.ok_or(StoreError::Corrupt("participant"))
    }

    /// Read after the lock: a send that had the row before has committed by now and is seen, and one that is still to get it
    /// brings the conversation back (I2).
    ///
    /// What is archived was seen by whoever archived it, else it would have come back: to archive it again hides nothing.
    async fn refuse_unseen(&self, before: Side) -> Result<(), StoreError> {
        if before.archived || !matches!(self.marking.mark, Mark::Archive { .. }) {
            return Ok(());
        }
        let key = (self.write.organization.to_string(), self.marking.conversation);
        let row = entity::conversation::Entity::find_by_id(key)
            .one(self.transaction)
            .await?;
        let last = row.ok_or(StoreError::Corrupt("conversation"))?.last_sequence;
        if self.marking.mark.is_refused_at(last) {
            return Err(StoreError::NewerMessage(last));
        }
        Ok(())
    }

    /// Counted after the lock, for the same reason: none comes in between.
    async fn count_after(&self, sequence: i64) -> Result<i64, StoreError> {
        use entity::message::Column;
        let count = entity::message::Entity::find()
            .filter(Column::Organization.eq(self.write.organization.as_str()))
            .filter(Column::ConversationId.eq(self.marking.conversation))
            .filter(Column::Sequence.gt(sequence))
            .filter(Column::Sender.ne(self.person.to_string()))
            .count(self.transaction)
            .await?;
        i64::try_from(count).map_err(|_| StoreError::Corrupt("count"))
    }

    async fn move_to(&self, row: entity::participant::Model, to: Side, revision: i64) -> Result<(), StoreError> {
        let mut row: entity::participant::ActiveModel = row.into();
        row.last_read = Set(to.last_read);
        row.unread = Set(to.unread);
        row.archived = Set(to.archived);
        row.revision = Set(revision);
        row.update(self.transaction).await?;
        Ok(())
    }

    /// A hint for the replicas that hold watches of this mailbox.
    async fn tell(&self, revision: i64) -> Result<(), StoreError> {
        let now = self.write.now;
        let payload = MailboxRead {
            event_id: self.marking.event.to_string(),
            organization_id: self.write.organization.to_string(),
            person: self.person.to_string(),
            revision,
            change_time: Some(prost_types::Timestamp {
                seconds: now.timestamp(),
                nanos: now.timestamp_subsec_nanos().cast_signed(),
            }),
        };
        let organization = self.write.organization.clone();
        let event = Event::mailbox_read(self.marking.event, organization, &payload, TraceHeaders::current(), now);
        outbox::insert(self.transaction, &event).await?;
        Ok(())
    }
}
