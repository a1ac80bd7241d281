//! What surrounds every event: topology, outbox, relay, publisher and consumer.
//!
//! An event starts as a row of the [`outbox`], written by the transaction that made it true. The [`relay`] takes it from
//! there to the broker, and deletes the row once the broker has confirmed it. A [`consumer`] hands it to a service, and
//! acknowledges it once the service has kept it. So an event arrives at least once, and whoever takes it must know its id.
//!
//! Beside the work queues, a [`listener`] hears events as hints: at once, in every replica, and without a promise. What no
//! consumer can make sense of waits among the [`dead_letters`] for an operator.
//!
//! There are two brokers with one contract, chosen by the scheme of the URL: RabbitMQ, and one embedded in the process that
//! keeps its queues in a file of SQLite, for a suite that runs in one process.

pub mod consumer;
pub mod dead_letters;
pub mod event;
pub mod gauges;
pub mod listener;
pub mod outbox;
pub mod publisher;
pub mod relay;
pub mod settings;
pub mod topology;
pub mod trace;

mod embedded;
mod error;
mod rabbitmq;
mod reconnect;

pub use error::BrokerError;
