//! A send on `PostgreSQL`: one statement, which is one transaction and one round trip.

use carepost_audit::{Subject, Told};
use carepost_broker::trace::TraceHeaders;
use carepost_identity::PersonId;
use chrono::{DateTime, Utc};
use prost::Message as _;
use sea_orm::{DatabaseConnection, FromQueryResult, Statement, Value};
use uuid::Uuid;

use super::{RequestKey, Sent, StoreError, Write};
use crate::{
    domain::{Mailbox, NewConversation, NewMessage},
    store::{
        rows,
        search::{Heading, Searched},
    },
};

#[derive(FromQueryResult)]
struct Row {
    sequence: i64,
    sent_at: DateTime<Utc>,
    unread: i64,
    revision: i64,
}

/// What both kinds of send end with. They have the common table expressions `conv` (sequence, sent_at, participants) and `boxes`
/// (person, unread, revision, conversation_unread of the sender in `own`), and the parameters $1 organization, $2 conversation,
/// $3 sender, $4 sent via, $5 message, $6 body, $7 rpc, $8 request id, $9 digest, $10 event, $11 payload, $12 and $13 trace,
/// $14 now, $15 and $16 the body as it is searched, $17 to $24 the audit record: its id, actor, relaying service, origin, action,
/// subjects, call and trace.
///
/// The constants are one statement because they are one transaction: a macro joins them when the program is built.
macro_rules! send {
    ($parties:literal) => {
        concat!(
            "WITH ",
            $parties,
            ",
            msg AS (
                INSERT INTO message
                    (organization, conversation_id, sequence, id, sender, sent_via, body, sent_at, participants, folded,
                     symbols)
                SELECT $1, $2, conv.sequence, $5, $3, $4, $6, conv.sent_at, conv.participants, $15, $16 FROM conv
            ),
            event AS (
                INSERT INTO outbox
                    (id, organization, kind, payload, traceparent, tracestate, created_at)
                SELECT $10, $1, 'message.sent', $11, $12, $13, conv.sent_at FROM conv
            ),
            audit AS (
                INSERT INTO audit_record
                    (organization, recorded_at, id, actor, via, origin, action, subjects, outcome, request_id, trace_id, count)
                SELECT $1, $14, $17, $18, $19, $20, $21, $22, 'OK', $23, $24, 1 FROM conv
            ),
            req AS (
                INSERT INTO request
                    (organization, person, rpc, request_id, digest, conversation_id, message_id, sequence,
                     conversation_unread, mailbox_unread, mailbox_revision, answered_at)
                SELECT $1, $3, $7, $8, $9, $2, $5, conv.sequence, own.conversation_unread, boxes.unread,
                       boxes.revision, conv.sent_at
                FROM conv, own, boxes WHERE boxes.person = $3
            )
            SELECT conv.sequence, conv.sent_at, boxes.unread, boxes.revision
            FROM conv, boxes WHERE boxes.person = $3"
        )
    };
}

/// Mailboxes are locked bytewise by person, as a reply does: parameters have the language of the database, columns do not.
///
/// $25 and $26: persons and their names; $27 kind, $28 chart, $29 patient's name, $30 subject; $31 to $33: participants and heading
/// as they are searched.
const START: &str = send!(
    "parties AS (
        SELECT * FROM unnest($25::text[], $26::text[]) AS party (person, display_name)
    ),
    conv AS (
        INSERT INTO conversation
            (organization, id, kind, chart_id, patient_name, subject, created_at, last_message_at, last_sequence,
             participants, folded, symbols)
        VALUES ($1, $2, $27, $28, $29, $30, $14, $14, 1, $31, $32, $33)
        RETURNING last_sequence AS sequence, last_message_at AS sent_at, participants
    ),
    own AS (SELECT 0::bigint AS conversation_unread),
    boxes AS (
        INSERT INTO mailbox AS m (organization, person, unread, revision)
        SELECT $1, person, CASE WHEN person = $3 THEN 0 ELSE 1 END, 1 FROM parties ORDER BY person COLLATE \"C\"
        ON CONFLICT (organization, person)
        DO UPDATE SET unread = m.unread + excluded.unread, revision = m.revision + 1
        RETURNING m.person, m.unread, m.revision
    ),
    joined AS (
        INSERT INTO participant
            (organization, conversation_id, person, display_name, last_read, unread, archived, last_message_at, revision)
        SELECT $1, $2, parties.person, parties.display_name, 0, CASE WHEN parties.person = $3 THEN 0 ELSE 1 END, false,
               $14, boxes.revision
        FROM parties JOIN boxes ON boxes.person = parties.person
    )"
);

/// The update of the conversation comes first and makes replies wait for each other; what comes after it uses the values
/// of rows that it locked itself (`FOR UPDATE` and `UPDATE` read the newest version of a row, not the statement's snapshot).
/// An archived conversation comes back, and what was unread in it counts again (I2, I3).
pub(in crate::store) const REPLY: &str = send!(
    "conv AS (
        UPDATE conversation
        SET last_sequence = last_sequence + 1, last_message_at = GREATEST(last_message_at, $14)
        WHERE organization = $1 AND id = $2
        RETURNING last_sequence AS sequence, last_message_at AS sent_at, participants
    ),
    locked AS (
        SELECT p.person, p.unread, p.archived FROM participant p, conv
        WHERE p.organization = $1 AND p.conversation_id = $2
        ORDER BY p.person FOR UPDATE OF p
    ),
    own AS (SELECT unread AS conversation_unread FROM locked WHERE person = $3),
    boxes AS (
        INSERT INTO mailbox AS m (organization, person, unread, revision)
        SELECT $1, person,
               CASE WHEN archived THEN unread ELSE 0 END + CASE WHEN person = $3 THEN 0 ELSE 1 END, 1
        FROM locked ORDER BY person
        ON CONFLICT (organization, person)
        DO UPDATE SET unread = m.unread + excluded.unread, revision = m.revision + 1
        RETURNING m.person, m.unread, m.revision
    ),
    joined AS (
        UPDATE participant p
        SET unread = p.unread + CASE WHEN p.person = $3 THEN 0 ELSE 1 END, archived = false,
            last_message_at = conv.sent_at, revision = boxes.revision
        FROM boxes, conv
        WHERE p.organization = $1 AND p.conversation_id = $2 AND p.person = boxes.person
    )"
);

pub(super) async fn start(
    database: &DatabaseConnection,
    write: Write<'_>,
    request: RequestKey<'_>,
    conversation: NewConversation,
) -> Result<Sent, StoreError> {
    let heading = Heading::of_new(write.organization, &conversation);
    let parties = conversation.participants.into_iter();
    let (persons, names): (Vec<_>, Vec<_>) = parties
        .map(|party| (party.person.to_string(), party.display_name))
        .unzip();
    let regarding = conversation.regarding;
    let (chart, patient) = regarding
        .map(|regarding| (regarding.chart.to_string(), regarding.patient_name))
        .unzip();
    let mut values = common(write, request, conversation.id, conversation.message);
    values.extend([
        persons.into(),
        names.into(),
        rows::kind_number(conversation.kind).into(),
        chart.into(),
        patient.into(),
        conversation.subject.as_str().into(),
        heading.participants.into(),
        heading.text.folded.into(),
        heading.text.symbols.into(),
    ]);
    send(database, write, START, values).await
}

pub(super) async fn reply(
    database: &DatabaseConnection,
    write: Write<'_>,
    request: RequestKey<'_>,
    conversation: Uuid,
    message: NewMessage,
) -> Result<Sent, StoreError> {
    send(database, write, REPLY, common(write, request, conversation, message)).await
}

async fn send(
    database: &DatabaseConnection,
    write: Write<'_>,
    sql: &'static str,
    values: Vec<Value>,
) -> Result<Sent, StoreError> {
    let statement = Statement::from_sql_and_values(database.get_database_backend(), sql, values);
    let row = Row::find_by_statement(statement).one(database).await?;
    let row = row.ok_or(StoreError::Corrupt("conversation"))?;
    write.occasion.tell(Told::Changed);
    let mailbox = Mailbox {
        unread: row.unread,
        revision: row.revision,
    };
    Ok(Sent {
        sequence: row.sequence,
        at: row.sent_at,
        mailbox,
    })
}

/// The parameters $1 to $24.
fn common(write: Write<'_>, request: RequestKey<'_>, conversation: Uuid, message: NewMessage) -> Vec<Value> {
    let text = Searched::of_body(&message.body);
    let trace = TraceHeaders::current();
    let via = write.actor.service().map(ToString::to_string);
    let event: Option<Uuid> = message.event.event_id.parse().ok();
    let record = write.record([Subject::conversation(conversation), Subject::message(message.id)]);
    vec![
        write.organization.as_str().into(),
        conversation.into(),
        PersonId::to_string(&message.sender).into(),
        via.into(),
        message.id.into(),
        message.body.as_str().into(),
        request.rpc.into(),
        request.id.into(),
        request.digest.to_vec().into(),
        event.into(),
        message.event.encode_to_vec().into(),
        trace.traceparent.into(),
        trace.tracestate.into(),
        write.now.into(),
        text.folded.into(),
        text.symbols.into(),
        record.id.into(),
        record.actor.into(),
        record.via.into(),
        record.origin.into(),
        record.action.into(),
        record.subjects.into(),
        record.request_id.into(),
        record.trace_id.into(),
    ]
}
