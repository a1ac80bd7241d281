//! A send on `SQLite`: a transaction that has the one write lock from its start, so that what it reads stays true.

use carepost_audit::{Subject, Told, insert};
use carepost_broker::{event::Event, outbox, trace::TraceHeaders};
use carepost_runtime::database::begin;
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, DatabaseConnection, DatabaseTransaction, EntityTrait, QueryFilter,
    QueryOrder,
};
use uuid::Uuid;

use super::{RequestKey, Sent, StoreError, Write};
use crate::{
    domain::{Answered, Mailbox, NewConversation, NewMessage},
    store::{
        entity::{conversation, message, participant},
        mailbox, request, rows,
        search::{self, Heading},
    },
};

pub(super) async fn start(
    database: &DatabaseConnection,
    write: Write<'_>,
    key: RequestKey<'_>,
    new: NewConversation,
) -> Result<Sent, StoreError> {
    let transaction = begin(database).await?;
    let sending = Sending {
        transaction: &transaction,
        write,
        key,
        conversation: new.id,
    };
    let heading = Heading::of_new(write.organization, &new);
    let (chart, patient) = new
        .regarding
        .map(|regarding| (regarding.chart.to_string(), regarding.patient_name))
        .unzip();
    let row = conversation::ActiveModel {
        organization: Set(write.organization.to_string()),
        id: Set(new.id),
        kind: Set(rows::kind_number(new.kind)),
        chart_id: Set(chart),
        patient_name: Set(patient),
        subject: Set(new.subject.as_str().to_owned()),
        created_at: Set(write.now),
        last_message_at: Set(write.now),
        last_sequence: Set(1),
    };
    conversation::Entity::insert(row)
        .exec_without_returning(&*transaction)
        .await?;
    heading.write(&*transaction, write.organization, new.id).await?;
    let mut own = Mailbox::default();
    for party in new.participants {
        let is_sender = party.person == new.message.sender;
        let unread = i64::from(!is_sender);
        let mailbox = mailbox::change(&*transaction, write.organization, &party.person, unread).await?;
        sending
            .join(party.person.to_string(), party.display_name, unread, mailbox.revision)
            .await?;
        if is_sender {
            own = mailbox;
        }
    }
    let sent = Sent {
        sequence: 1,
        at: write.now,
        mailbox: own,
    };
    sending.write_message(&new.message, sent, 0).await?;
    transaction.commit().await?;
    write.occasion.tell(Told::Changed);
    Ok(sent)
}

pub(super) async fn reply(
    database: &DatabaseConnection,
    write: Write<'_>,
    key: RequestKey<'_>,
    conversation: Uuid,
    message: NewMessage,
) -> Result<Sent, StoreError> {
    let transaction = begin(database).await?;
    let sending = Sending {
        transaction: &transaction,
        write,
        key,
        conversation,
    };
    let (sequence, at) = sending.count().await?;
    let (mut own, mut own_unread) = (Mailbox::default(), 0);
    for row in sending.participants().await? {
        let person = rows::person(&row.person)?;
        let is_sender = person == message.sender;
        // An archived conversation comes back, and what was unread in it counts again (I2, I3).
        let returning = if row.archived { row.unread } else { 0 };
        let counted = returning + i64::from(!is_sender);
        let mailbox = mailbox::change(&*transaction, write.organization, &person, counted).await?;
        if is_sender {
            (own, own_unread) = (mailbox, row.unread);
        }
        sending.tell(row, i64::from(!is_sender), at, mailbox.revision).await?;
    }
    let sent = Sent {
        sequence,
        at,
        mailbox: own,
    };
    sending.write_message(&message, sent, own_unread).await?;
    transaction.commit().await?;
    write.occasion.tell(Told::Changed);
    Ok(sent)
}

struct Sending<'a> {
    transaction: &'a DatabaseTransaction,
    write: Write<'a>,
    key: RequestKey<'a>,
    conversation: Uuid,
}

impl Sending<'_> {
    /// Counts the message on the conversation: its sequence and time.
    async fn count(&self) -> Result<(i64, DateTime<Utc>), StoreError> {
        let key = (self.write.organization.to_string(), self.conversation);
        let row = conversation::Entity::find_by_id(key).one(self.transaction).await?;
        let row = row.ok_or(StoreError::Corrupt("conversation"))?;
        let (sequence, at) = (row.last_sequence + 1, row.last_message_at.max(self.write.now));
        let mut row: conversation::ActiveModel = row.into();
        row.last_sequence = Set(sequence);
        row.last_message_at = Set(at);
        row.update(self.transaction).await?;
        Ok((sequence, at))
    }

    async fn participants(&self) -> Result<Vec<participant::Model>, StoreError> {
        let rows = participant::Entity::find()
            .filter(participant::Column::Organization.eq(self.write.organization.as_str()))
            .filter(participant::Column::ConversationId.eq(self.conversation))
            .order_by_asc(participant::Column::Person);
        Ok(rows.all(self.transaction).await?)
    }

    async fn join(&self, person: String, name: String, unread: i64, revision: i64) -> Result<(), StoreError> {
        let row = participant::ActiveModel {
            organization: Set(self.write.organization.to_string()),
            conversation_id: Set(self.conversation),
            person: Set(person),
            display_name: Set(name),
            last_read: Set(0),
            unread: Set(unread),
            archived: Set(false),
            last_message_at: Set(self.write.now),
            revision: Set(revision),
        };
        participant::Entity::insert(row)
            .exec_without_returning(self.transaction)
            .await?;
        Ok(())
    }

    async fn tell(
        &self,
        row: participant::Model,
        more: i64,
        at: DateTime<Utc>,
        revision: i64,
    ) -> Result<(), StoreError> {
        let unread = row.unread + more;
        let mut row: participant::ActiveModel = row.into();
        row.unread = Set(unread);
        row.archived = Set(false);
        row.last_message_at = Set(at);
        row.revision = Set(revision);
        row.update(self.transaction).await?;
        Ok(())
    }

    /// The message, its event and the known request.
    async fn write_message(&self, new: &NewMessage, sent: Sent, unread: i64) -> Result<(), StoreError> {
        let organization = self.write.organization;
        let row = message::ActiveModel {
            organization: Set(organization.to_string()),
            conversation_id: Set(self.conversation),
            sequence: Set(sent.sequence),
            id: Set(new.id),
            sender: Set(new.sender.to_string()),
            sent_via: Set(self.write.actor.service().map(ToString::to_string)),
            body: Set(new.body.as_str().to_owned()),
            sent_at: Set(sent.at),
        };
        message::Entity::insert(row)
            .exec_without_returning(self.transaction)
            .await?;
        search::write_body(
            self.transaction,
            organization,
            self.conversation,
            sent.sequence,
            &new.body,
        )
        .await?;
        let id = new.event.event_id.parse().map_err(|_| StoreError::Corrupt("event"))?;
        let event = Event::message_sent(id, organization.clone(), &new.event, TraceHeaders::current(), sent.at);
        outbox::insert(self.transaction, &event).await?;
        let answered = Answered {
            conversation: self.conversation,
            message: Some(new.id),
            sequence: sent.sequence,
            conversation_unread: unread,
            mailbox: sent.mailbox,
            at: sent.at,
        };
        request::remember(self.transaction, organization, &new.sender, self.key, &answered).await?;
        let more = [Subject::conversation(self.conversation), Subject::message(new.id)];
        insert(self.transaction, &[self.write.record(more)]).await?;
        Ok(())
    }
}
