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
