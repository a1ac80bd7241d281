//! What is read back: conversations and messages as one of their participants sees them.

use std::fmt;

use carepost_identity::{ChartId, PersonId};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Side;

/// Which parties a conversation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One staff member and one portal user, regarding one chart (C1).
    Portal,
    /// Staff only (C2).
    Staff,
}

/// The chart that a conversation regards.
#[derive(Clone, PartialEq, Eq)]
pub struct Regarding {
    /// The chart.
    pub chart: ChartId,
    /// A copy of the patient's name.
    pub patient_name: String,
}

/// A party of a conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct Participant {
    /// Who.
    pub person: PersonId,
    /// A copy of their name.
    pub display_name: String,
}

/// A conversation as its reader sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Conversation {
    /// Its id.
    pub id: Uuid,
    /// Which parties it has.
    pub kind: Kind,
    /// What it regards.
    pub regarding: Option<Regarding>,
    /// Its subject.
    pub subject: String,
    /// Everybody in it, by id.
    pub participants: Vec<Participant>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When its newest message was accepted.
    pub last_message_at: DateTime<Utc>,
    /// The sequence of its newest message.
    pub last_sequence: i64,
    /// The reader's side of it.
    pub side: Side,
    /// The revision of the reader's mailbox at which it last changed for them.
    pub position: i64,
    /// Its newest message, shortened.
    pub preview: Option<Preview>,
}

/// The newest message of a conversation, for a list.
#[derive(Clone, PartialEq, Eq)]
pub struct Preview {
    /// Who wrote it.
    pub sender: PersonId,
    /// The beginning of its body on one line.
    pub text: String,
}

impl Preview {
    /// How many characters it has at most.
    const LENGTH: usize = 140;
    /// How many characters of a body are enough to make it of, unless nearly all of them are white space.
    pub const ENOUGH: i32 = 1_000;

    /// Of a body, or of the first [`Self::ENOUGH`] characters of a longer one.
    #[must_use]
    pub fn of(sender: PersonId, beginning: &str) -> Self {
        let line = beginning.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut text: String = line.chars().take(Self::LENGTH).collect();
        if text.len() < line.len() {
            text.pop();
            text.truncate(text.trim_end().len());
            text.push('…');
        }
        Self { sender, text }
    }
}

/// A message as its reader sees it.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: Uuid,
    /// Its conversation.
    pub conversation: Uuid,
    /// Its place in the conversation, from 1.
    pub sequence: i64,
    /// Who wrote it.
    pub sender: PersonId,
    /// What it says.
    pub body: String,
    /// When it was accepted.
    pub sent_at: DateTime<Utc>,
    /// Whether the reader has yet to read it.
    pub unread: bool,
}

/// A person's badge, and how new it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mailbox {
    /// Unread messages in active conversations (I3).
    pub unread: i64,
    /// Grows with every change.
    pub revision: i64,
}

/// What was answered to a call with a request id: enough to give the same answer again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The conversation.
    pub conversation: Uuid,
    /// The message that was sent, if one was.
    pub message: Option<Uuid>,
    /// The sequence of the message, or up to which was read.
    pub sequence: i64,
    /// How many messages of the conversation the person had not read after it.
    pub conversation_unread: i64,
    /// The person's mailbox after it.
    pub mailbox: Mailbox,
    /// When.
    pub at: DateTime<Utc>,
}

macro_rules! keep_to_oneself {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

// They hold names or text.
keep_to_oneself!(Regarding Participant Conversation Preview Message);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_preview_is_one_line_of_at_most_140_characters() {
        let nurse = PersonId::parse("staff/nurse").unwrap();
        let preview = |body: &str| Preview::of(nurse.clone(), body).text;
        assert_eq!(preview(" One\n\n\ttwo\u{a0} three\n"), "One two three");
        assert_eq!(preview(&"é".repeat(140)), "é".repeat(140));
        assert_eq!(preview(&"é".repeat(141)), "é".repeat(139) + "…");
        // No space before the ellipsis.
        let words = format!("{} {}", "é".repeat(138), "é".repeat(9));
        assert_eq!(preview(&words), "é".repeat(138) + "…");
        let first = "é ".repeat(1_000);
        let read: String = first.chars().take(Preview::ENOUGH as usize).collect();
        assert_eq!(preview(&read), preview(&first));
    }
}
