//! The broker as RabbitMQ, with a reconnection of its own.

mod burial;
mod confirm;
mod declare;
mod depths;
mod letter;
mod letters;
mod link;
mod listener;
mod properties;
mod publisher;
mod session;

pub(crate) use burial::Burial;
pub(crate) use depths::RabbitDepths;
pub(crate) use letters::RabbitLetters;
pub(crate) use listener::listen;
pub(crate) use publisher::RabbitPublisher;
pub(crate) use session::run;
