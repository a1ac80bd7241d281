//! Rows into values of the domain.

use carepost_identity::{ChartId, PersonId};

use super::{StoreError, entity};
use crate::domain::{Conversation, Kind, Message, Participant, Preview, Regarding, Side};

pub(super) const PORTAL: i16 = 1;
pub(super) const STAFF: i16 = 2;

pub(super) fn kind_number(kind: Kind) -> i16 {
    match kind {
        Kind::Portal => PORTAL,
        Kind::Staff => STAFF,
    }
}

pub(super) fn kind(number: i16) -> Result<Kind, StoreError> {
    match number {
        PORTAL => Ok(Kind::Portal),
        STAFF => Ok(Kind::Staff),
        _ => Err(StoreError::Corrupt("conversation")),
    }
}

pub(super) fn person(text: &str) -> Result<PersonId, StoreError> {
    PersonId::parse(text).map_err(|_| StoreError::Corrupt("person"))
}

pub(super) fn chart(text: String) -> Result<ChartId, StoreError> {
    ChartId::parse(text).map_err(|_| StoreError::Corrupt("chart"))
}

pub(super) fn regarding(id: Option<String>, patient_name: Option<String>) -> Result<Option<Regarding>, StoreError> {
    let Some(id) = id else {
        return Ok(None);
    };
    Ok(Some(Regarding {
        chart: chart(id)?,
        patient_name: patient_name.unwrap_or_default(),
    }))
}

/// A conversation, as the one of its participants sees it whose side is given.
pub(super) fn conversation(
    row: entity::conversation::Model,
    participants: Vec<entity::participant::Model>,
    own: &entity::participant::Model,
    preview: Option<Preview>,
) -> Result<Conversation, StoreError> {
    Ok(Conversation {
        id: row.id,
        kind: kind(row.kind)?,
        regarding: regarding(row.chart_id, row.patient_name)?,
        subject: row.subject,
        participants: participants.into_iter().map(participant).collect::<Result<_, _>>()?,
        created_at: row.created_at,
        last_message_at: row.last_message_at,
        last_sequence: row.last_sequence,
        side: side(own),
        position: own.revision,
        preview,
    })
}

pub(super) fn side(row: &entity::participant::Model) -> Side {
    Side {
        last_read: row.last_read,
        unread: row.unread,
        archived: row.archived,
    }
}

fn participant(row: entity::participant::Model) -> Result<Participant, StoreError> {
    Ok(Participant {
        person: person(&row.person)?,
        display_name: row.display_name,
    })
}

/// A message, as the one sees it who has read up to `last_read`.
pub(super) fn message(row: entity::message::Model, reader: &PersonId, last_read: i64) -> Result<Message, StoreError> {
    let sender = person(&row.sender)?;
    let unread = row.sequence > last_read && sender != *reader;
    Ok(Message {
        id: row.id,
        conversation: row.conversation_id,
        sequence: row.sequence,
        sender,
        body: row.body,
        sent_at: row.sent_at,
        unread,
    })
}
