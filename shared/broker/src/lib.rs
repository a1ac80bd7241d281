//! What surrounds every event: topology, outbox, relay, RabbitMQ publisher and consumer with a reconnection of its own.
//!
//! An event starts as a row of the [`outbox`], written by the transaction that made it true. The [`relay`] takes it from
//! there to RabbitMQ, and deletes the row once the broker has confirmed it. A [`consumer`] hands it to a service, and
//! acknowledges it once the service has kept it. So an event arrives at least once, and whoever takes it must know its id.

pub mod consumer;
pub mod event;
pub mod outbox;
pub mod publisher;
pub mod relay;
pub mod settings;
pub mod topology;
pub mod trace;

mod confirm;
mod link;

pub use link::BrokerError;
