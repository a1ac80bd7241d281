//! The lines of an export, each a JSON document. Fields are added to them, never renamed or removed.

use carepost_messaging::{
    domain::Kind,
    store::export::{ExportedConversation, ExportedMessage},
};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;

/// The form of the file.
const FORMAT: &str = "carepost-conversations/1";
/// What whoever reads the file must know of it.
const NOTES: [&str; 6] = [
    "Times are in UTC.",
    "Messages are numbered within their conversation, from 1 without gaps. The service never changes or deletes one; what is not \
     stored any more has a line of the type missing.",
    "Names are copies that messaging keeps to show them: as of when the export was made, not as of when a message was written. The \
     patient's name in a conversation is not renewed while its portal user has no connection to the chart.",
    "marked_read_by: the parties whose mark stood at the message or behind it. Opening a message marks nothing, and a mark can be \
     moved back.",
    "Not in this file: emails about messages (the notification service keeps a ledger of them), who looked at a conversation (the \
     audit trail has that), and messages that were refused when they were to be sent, which are kept nowhere.",
    "The last line has the SHA-256 of all bytes before it; the audit trail has the same. A file without such a line is not whole.",
];

/// A line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line<'a> {
    /// The first.
    Export(Header<'a>),
    Conversation(Conversation<'a>),
    Message(Message<'a>),
    /// Messages that there must have been.
    Missing {
        conversation_id: String,
        from_number: i64,
        to_number: i64,
    },
    /// The last. Its digest is of all bytes before it.
    End {
        conversations: i64,
        messages: i64,
        missing: i64,
        sha256: String,
    },
}

/// What was asked, by whom, when, and of what.
#[derive(Serialize)]
pub struct Header<'a> {
    pub format: &'static str,
    pub export_id: String,
    pub organization: &'a str,
    pub chart_id: Option<&'a str>,
    pub person: Option<String>,
    pub operator: &'a str,
    pub reason: &'a str,
    pub begin_time: String,
    pub schema: &'a str,
    pub carepost_version: &'static str,
    pub notes: [&'static str; 6],
}

impl<'a> Header<'a> {
    /// Of everything, to be narrowed.
    pub fn new(organization: &'a str, begun_at: DateTime<Utc>, schema: &'a str) -> Self {
        Self {
            format: FORMAT,
            export_id: String::new(),
            organization,
            chart_id: None,
            person: None,
            operator: "",
            reason: "",
            begin_time: utc(begun_at),
            schema,
            carepost_version: env!("CARGO_PKG_VERSION"),
            notes: NOTES,
        }
    }
}

#[derive(Serialize)]
pub struct Conversation<'a> {
    conversation_id: String,
    kind: &'static str,
    subject: &'a str,
    regarding: Option<Regarding<'a>>,
    parties: Vec<Party<'a>>,
    create_time: String,
    last_message_time: String,
    last_number: i64,
}

#[derive(Serialize)]
struct Regarding<'a> {
    chart_id: &'a str,
    patient_name: &'a str,
}

#[derive(Serialize)]
struct Party<'a> {
    person: String,
    name: &'a str,
    marked_read_up_to: i64,
    archived: bool,
}

#[derive(Serialize)]
pub struct Message<'a> {
    conversation_id: String,
    number: i64,
    message_id: String,
    sender: String,
    sender_name: &'a str,
    sent_via: Option<&'a str>,
    send_time: String,
    text: &'a str,
    marked_read_by: Vec<String>,
}

/// The line of a conversation.
pub fn conversation(one: &ExportedConversation) -> Line<'_> {
    let parties = one.parties.iter().map(|party| Party {
        person: party.person.to_string(),
        name: &party.display_name,
        marked_read_up_to: party.read_up_to,
        archived: party.archived,
    });
    Line::Conversation(Conversation {
        conversation_id: one.id.to_string(),
        kind: match one.kind {
            Kind::Portal => "portal",
            Kind::Staff => "staff",
        },
        subject: &one.subject,
        regarding: one.regarding.as_ref().map(|regarding| Regarding {
            chart_id: regarding.chart.as_str(),
            patient_name: &regarding.patient_name,
        }),
        parties: parties.collect(),
        create_time: utc(one.created_at),
        last_message_time: utc(one.last_message_at),
        last_number: one.last_number,
    })
}

/// The line of a message.
pub fn message<'a>(of: &'a ExportedConversation, one: &'a ExportedMessage) -> Line<'a> {
    let sender = of.parties.iter().find(|party| party.person == one.sender);
    let readers = of
        .parties
        .iter()
        .filter(|party| party.person != one.sender && party.read_up_to >= one.number);
    Line::Message(Message {
        conversation_id: of.id.to_string(),
        number: one.number,
        message_id: one.id.to_string(),
        sender: one.sender.to_string(),
        sender_name: sender.map_or("", |party| &party.display_name),
        sent_via: one.sent_via.as_deref(),
        send_time: utc(one.sent_at),
        text: &one.body,
        marked_read_by: readers.map(|party| party.person.to_string()).collect(),
    })
}

fn utc(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
