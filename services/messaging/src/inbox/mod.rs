//! Refreshes the names in conversations: when an event of the directory says that they may have changed, and when a reader's
//! answer from eligibility shows that a copy is old. The latter mends what the former cannot see: a conversation that was
//! started with a name just before it changed, and written just after the event.

mod decode;
mod handler;
mod seen;

pub use handler::Inbox;
pub use seen::{Outdated, OutdatedReceiver};
