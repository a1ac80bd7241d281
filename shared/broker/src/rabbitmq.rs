//! The broker as RabbitMQ, with a reconnection of its own.

mod confirm;
mod dead_letter;
mod declare;
mod link;
mod publisher;
mod session;

pub(crate) use dead_letter::DeadLetters;
pub(crate) use publisher::RabbitPublisher;
pub(crate) use session::run;
