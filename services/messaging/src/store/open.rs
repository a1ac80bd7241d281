//! The read before a change, in one statement: the answer to a known request, and the conversation if it is the caller's.

use carepost_identity::{OrganizationId, PersonId};
use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, Statement};
use uuid::Uuid;

use super::{RequestKey, Store, StoreError, rows};
use crate::domain::{Answered, Mailbox, Thread};

/// What is known before a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Opened {
    /// The request was carried out before, with this content: this is its answer.
    Known(Answered),
    /// The request id was used for another content.
    Reused,
    /// The request is new. The conversation, if one was asked for and it is the caller's.
    New(Option<Thread>),
}

pub(super) const OPEN: &str = "
    SELECT r.digest, r.conversation_id AS answered_conversation, r.message_id, r.sequence, r.conversation_unread,
           r.mailbox_unread, r.mailbox_revision, r.answered_at,
           c.id AS conversation_id, c.chart_id, c.last_sequence, p.person
    FROM (SELECT 1 AS one) AS one
    LEFT JOIN request r ON r.organization = $1 AND r.person = $2 AND r.rpc = $3 AND r.request_id = $4
    LEFT JOIN participant me ON me.organization = $1 AND me.conversation_id = $5 AND me.person = $2
    LEFT JOIN conversation c ON c.organization = $1 AND c.id = me.conversation_id
    LEFT JOIN participant p ON p.organization = $1 AND p.conversation_id = c.id
    ORDER BY p.person";

#[derive(FromQueryResult)]
struct Row {
    digest: Option<Vec<u8>>,
    answered_conversation: Option<Uuid>,
    message_id: Option<Uuid>,
    sequence: Option<i64>,
    conversation_unread: Option<i64>,
    mailbox_unread: Option<i64>,
    mailbox_revision: Option<i64>,
    answered_at: Option<DateTime<Utc>>,
    conversation_id: Option<Uuid>,
    chart_id: Option<String>,
    last_sequence: Option<i64>,
    person: Option<String>,
}

impl Store {
    /// Reads what is known of a request, and the conversation that it is about, if it is about one of the person's.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn open(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        request: RequestKey<'_>,
        conversation: Option<Uuid>,
    ) -> Result<Opened, StoreError> {
        let statement = Statement::from_sql_and_values(
            self.database.get_database_backend(),
            OPEN,
            [
                organization.as_str().into(),
                person.to_string().into(),
                request.rpc.into(),
                request.id.into(),
                conversation.into(),
            ],
        );
        let rows = Row::find_by_statement(statement).all(&self.database).await?;
        match rows.first() {
            Some(row) if row.digest.as_ref().is_some_and(|digest| *digest != request.digest) => Ok(Opened::Reused),
            Some(row) if row.digest.is_some() => answered(row).map(Opened::Known).ok_or(StoreError::Corrupt("request")),
            _ => thread(rows).map(Opened::New),
        }
    }
}

fn answered(row: &Row) -> Option<Answered> {
    Some(Answered {
        conversation: row.answered_conversation?,
        message: row.message_id,
        sequence: row.sequence?,
        conversation_unread: row.conversation_unread?,
        mailbox: Mailbox {
            unread: row.mailbox_unread?,
            revision: row.mailbox_revision?,
        },
        at: row.answered_at?,
    })
}

fn thread(rows: Vec<Row>) -> Result<Option<Thread>, StoreError> {
    let Some(Row {
        conversation_id: Some(id),
        chart_id,
        last_sequence: Some(last_sequence),
        ..
    }) = rows.first()
    else {
        return Ok(None);
    };
    let (id, last_sequence) = (*id, *last_sequence);
    let chart = chart_id.clone().map(rows::chart).transpose()?;
    let participants = rows
        .iter()
        .filter_map(|row| row.person.as_deref())
        .map(rows::person)
        .collect::<Result<_, _>>()?;
    Ok(Some(Thread {
        id,
        chart,
        last_sequence,
        participants,
    }))
}
