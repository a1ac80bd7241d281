//! Watches of mailboxes: the badge and what changes, live (I7).
//!
//! A watch stands at a revision of its mailbox and tells what the store has after it. What wakes it is never the change itself:
//! events of the broker are hints that there may be one, and at every heartbeat the revisions of all watched mailboxes are
//! compared. So a hint that is lost costs time, and nothing else.

mod hub;
mod listen;
mod notices;
mod places;
mod settings;
mod signal;
mod watcher;
mod waves;

pub use hub::{Hub, Opening, Unopened};
pub use notices::{End, Event, Notice, Notices};
pub use places::Full;
pub use settings::WatchSettings;

use carepost_audit::Subject;

use crate::domain::Conversation;

/// What the audit trail has of a conversation that is shown: its name, and that of its chart.
pub(crate) fn shown(conversation: &Conversation) -> impl Iterator<Item = Subject> {
    let chart = conversation
        .regarding
        .as_ref()
        .map(|regarding| Subject::chart(&regarding.chart));
    [Subject::conversation(conversation.id)].into_iter().chain(chart)
}
