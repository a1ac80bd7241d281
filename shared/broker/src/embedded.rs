//! The broker inside the process: its queues are rows of a SQLite file, which one process has at a time.
//!
//! What is in a queue, and how often it was handed out, is in the file. Who has it now is in memory alone: with its process,
//! or with its consumer, a claim ends, and the message is handed out again.

mod depths;
mod file;
mod letters;
mod listener;
mod lock;
mod publisher;
mod session;
mod subscription;
mod table;

pub(crate) use depths::depths;
pub(crate) use letters::EmbeddedLetters;
pub(crate) use listener::listen;
pub(crate) use publisher::EmbeddedPublisher;
pub(crate) use session::run;
