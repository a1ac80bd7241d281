//! Hears events as hints: every listener hears every event, on a queue of its own, from the moment it listens.
//!
//! A hint is heard at once or never. Nothing is acknowledged or kept for a listener that is not there, and queue and buffer
//! are bounded: what is too much for them, the oldest first, is gone. So a listener learns from a hint that something
//! changed, never what it is now; it looks into its database, and does so as well whenever it hears [`Hint::Missed`], and from
//! time to time, since RabbitMQ drops what is too much for its queue without a word.

use std::time::Duration;

use carepost_proto::event::v1::{DirectoryChanged, MailboxRead, MessageSent};
use carepost_runtime::{Backoff, Clock};
use prost::Message;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::{
    embedded,
    event::EventKind,
    rabbitmq,
    reconnect::again,
    settings::{BrokerSettings, Place},
};

/// What a listener hears. Events have ids alone, so this may be shown.
#[derive(Clone, Debug, PartialEq)]
pub enum Hint {
    /// A message was accepted.
    MessageSent(MessageSent),
    /// Somebody changed what they see of a conversation.
    MailboxRead(MailboxRead),
    /// Records or settings of the directory changed.
    DirectoryChanged(DirectoryChanged),
    /// Up to here, events may have been missed. What the listener looks up from now on, it misses nothing of.
    Missed(Missed),
}

/// Why events may have been missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// It listens from now on: for the first time, or again after the connection broke.
    Connected,
    /// The hints were taken too slowly: the oldest were dropped.
    Lagged,
}

/// How a listener works.
#[derive(Clone, Copy, Debug)]
pub struct ListenerSettings {
    /// The most events that wait in the listener's queue on RabbitMQ, at least 1.
    pub queue_length: u32,
    /// The most hints that wait in the process to be taken, at least 1; rounded up to a power of two.
    pub buffer: usize,
    /// How long to wait after failures of the connection in a row.
    pub backoff: Backoff,
}

impl Default for ListenerSettings {
    /// 10,000 in the queue, 4,096 in the process, waits from 100 ms to 5 s.
    fn default() -> Self {
        Self {
            queue_length: 10_000,
            buffer: 4_096,
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
        }
    }
}

/// The most hints that a buffer holds, whatever the settings say.
const MAX_BUFFER: usize = 1 << 20;

/// Listens to the broker of its settings.
pub struct HintListener {
    broker: BrokerSettings,
    settings: ListenerSettings,
    clock: Clock,
    hints: broadcast::Sender<Hint>,
}

/// Where the hints of one listener are taken.
pub struct Hints(broadcast::Receiver<Hint>);

impl HintListener {
    /// A listener that does not listen yet, and where its hints are taken. The clock makes the name of its queue.
    #[must_use]
    pub fn new(broker: BrokerSettings, settings: ListenerSettings, clock: Clock) -> (Self, Hints) {
        let (hints, taken) = broadcast::channel(settings.buffer.clamp(1, MAX_BUFFER));
        let listener = Self {
            broker,
            settings,
            clock,
            hints,
        };
        (listener, Hints(taken))
    }

    /// Listens until `stop`. While the broker is down, it tries again and again; each time it is connected,
    /// [`Missed::Connected`] comes before what is heard from then on.
    pub async fn run(self, stop: CancellationToken) {
        let ear = Ear { hints: self.hints };
        let backoff = self.settings.backoff;
        match &self.broker.place {
            Place::RabbitMq(uri) => {
                let queue = (self.settings.queue_length, &self.clock);
                let session = || rabbitmq::listen((uri, &self.broker), queue, &ear, &stop);
                again("hints", backoff, &stop, session).await;
            }
            Place::File(path) => {
                let session = || embedded::listen((path, &self.broker), &ear, &stop);
                again("hints", backoff, &stop, session).await;
            }
        }
    }
}

impl Hints {
    /// The next hint; None once the listener has ended and all are taken. To give this up loses nothing.
    pub async fn next(&mut self) -> Option<Hint> {
        match self.0.recv().await {
            Ok(hint) => Some(hint),
            Err(RecvError::Lagged(_)) => Some(Hint::Missed(Missed::Lagged)),
            Err(RecvError::Closed) => None,
        }
    }
}

/// What a session does with what it hears, whatever the broker.
pub(crate) struct Ear {
    hints: broadcast::Sender<Hint>,
}

impl Ear {
    /// An event of a kind came, from whomever. If no sense can be made of it, it is skipped: the work queues are where such an
    /// event is kept.
    pub(crate) fn hears(&self, kind: Option<EventKind>, payload: &[u8]) {
        match kind.map(|kind| decode(kind, payload)) {
            Some(Ok(hint)) => self.tell(hint),
            Some(Err(_)) => tracing::warn!(?kind, bytes = payload.len(), "a hint that cannot be decoded is skipped"),
            None => tracing::warn!(bytes = payload.len(), "a hint of an unknown kind is skipped"),
        }
    }

    /// Up to here, events may have been missed.
    pub(crate) fn missed(&self, why: Missed) {
        self.tell(Hint::Missed(why));
    }

    fn tell(&self, hint: Hint) {
        // Fails if nobody takes hints any more: then there is nobody to tell.
        let _ = self.hints.send(hint);
    }
}

fn decode(kind: EventKind, payload: &[u8]) -> Result<Hint, prost::DecodeError> {
    Ok(match kind {
        EventKind::MessageSent => Hint::MessageSent(MessageSent::decode(payload)?),
        EventKind::MailboxRead => Hint::MailboxRead(MailboxRead::decode(payload)?),
        EventKind::DirectoryChanged => Hint::DirectoryChanged(DirectoryChanged::decode(payload)?),
    })
}
