//! Hands messages of a queue to a service: from RabbitMQ, over a connection of its own that is opened again whenever it
//! breaks, or from the embedded broker.
//!
//! A message is acknowledged once the service has kept it. While something that the service needs is down, the consumer
//! pauses and tries the same message again, without giving it back: an outage makes no dead letters. Only what the service
//! can make no sense of goes there, with the reason, and is acknowledged once the broker has confirmed the dead letter.

use std::{sync::Arc, time::Duration};

use carepost_runtime::{Backoff, Clock, settings::Reader};
use tokio_util::sync::CancellationToken;

use crate::{
    embedded,
    rabbitmq::{self, Burial},
    reconnect::again,
    settings::{BrokerSettings, Place},
};

mod attempt;
mod dead_letter;
mod received;
pub(crate) mod settle;

use attempt::Gate;
pub(crate) use dead_letter::Death;
#[cfg(test)]
pub(crate) use dead_letter::MAX_REASON;
pub use dead_letter::{DEAD_QUEUE, DEAD_REASON, DEAD_TIME};
pub use received::{Received, Verdict};

/// How a queue is consumed.
#[derive(Clone, Debug)]
pub struct ConsumerSettings {
    /// The queue.
    pub queue: String,
    /// How many messages the broker hands out ahead of their acknowledgement; at least 1, and no less than `concurrency` to
    /// make use of that.
    pub prefetch: u16,
    /// How many messages are handled at the same time, at least 1.
    pub concurrency: usize,
    /// How long to wait after failures in a row: of the connection, or of what the handler needs.
    pub backoff: Backoff,
    /// How long the handlers under way may take once the process is stopping or the connection broke.
    pub drain: Duration,
}

impl ConsumerSettings {
    /// 64 messages ahead, 8 at a time, waits from 100 ms to 5 s, 5 s to finish.
    #[must_use]
    pub fn new(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            prefetch: 64,
            concurrency: 8,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            drain: Duration::from_secs(5),
        }
    }

    /// Reads the section `inbox`: `prefetch`, `concurrency`; the rest as by default.
    pub fn read(reader: &mut Reader, queue: &str) -> Self {
        Self {
            prefetch: reader.count("inbox.prefetch", 1..=10_000),
            concurrency: reader.count("inbox.concurrency", 1..=1_000),
            ..Self::new(queue)
        }
    }
}

/// Consumes from the broker of its settings.
#[derive(Clone, Debug)]
pub struct Consumer {
    broker: BrokerSettings,
    clock: Clock,
}

impl Consumer {
    /// A consumer that has not connected yet. The clock tells the time of dead letters.
    #[must_use]
    pub fn new(broker: BrokerSettings, clock: Clock) -> Self {
        Self { broker, clock }
    }

    /// Works until `stop`; then takes nothing more, and lets the handlers under way finish within bounds. What is not
    /// acknowledged by then goes back to the queue.
    ///
    /// The handler runs in the trace of the message. It may see a message twice. If it panics, this does.
    pub async fn run<H, F>(self, settings: ConsumerSettings, handler: H, stop: CancellationToken)
    where
        H: Fn(Received) -> F + Send + Sync + 'static,
        F: Future<Output = Verdict> + Send + 'static,
    {
        let Self { broker, clock } = self;
        let gate = Gate::new(settings.backoff);
        let work = Arc::new(Work {
            handler,
            gate,
            clock,
            queue: settings.queue.clone(),
        });
        let (queue, backoff) = (&settings.queue, settings.backoff);
        match &broker.place {
            Place::RabbitMq(uri) => {
                let burial = Arc::new(Burial::new(uri, &broker));
                let session = || rabbitmq::run((uri, &broker), &settings, (&work, &burial), &stop);
                again(queue, backoff, &stop, session).await;
                burial.close().await;
            }
            Place::File(path) => {
                let session = || embedded::run((path, &broker), &settings, &work, &stop);
                again(queue, backoff, &stop, session).await;
            }
        }
    }
}

/// What is done with messages, whatever the broker that they come from.
pub(crate) struct Work<H> {
    handler: H,
    gate: Gate,
    pub(crate) clock: Clock,
    queue: String,
}
