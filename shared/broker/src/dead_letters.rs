//! Dead letters, for operators: what there is, and how it goes back to the queue that it came from.
//!
//! Nothing here drops a letter. One that goes back is removed once the broker has confirmed that the queue has it, so after a
//! fault in between it is in both places, and whoever takes events knows them by their ids. If it is still malformed, it
//! becomes a dead letter again.
//!
//! On RabbitMQ, a queue can only be looked at by taking letters and giving them back. While a call looks, the letters it holds
//! are hidden from other calls and from other tools, and their order in the queue changes: here they are sorted by the time of
//! their death. Should the connection break, the broker gives them back by itself. The embedded broker's letters can also be
//! seen and sent back while another process has the file.

use std::{fmt, time::Duration};

use chrono::{DateTime, Utc};

use crate::{
    embedded::EmbeddedLetters,
    error::BrokerError,
    publisher::PublishError,
    rabbitmq::RabbitLetters,
    settings::{BrokerSettings, Place},
};

/// The most letters of a page.
pub const MAX_PAGE: u32 = 1_000;

/// How many letters calls look at, and for half a minute at most: RabbitMQ takes about 15 s for so many. If there are more,
/// those behind can be neither listed nor found until others have gone; which ones are behind is for the broker to say.
pub const MAX_DEPTH: u32 = 10_000;

/// A call looks at no further letter once the bodies of those that it looks at have this many bytes together.
pub const MAX_BYTES: usize = 64 << 20;

/// A call that takes longer than this fails with [`BrokerError::Timeout`].
pub(crate) const TIME: Duration = Duration::from_secs(60);

/// A dead letter. Nothing about it has been checked: its texts may hold anything that a terminal would obey. Its body is never
/// part of debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names the letter for [`DeadLetters::redrive`]: of a-z, 0-9 and '-'. On RabbitMQ, copies of one letter have the same.
    pub id: String,
    /// The event's id, as text, if it has one.
    pub message_id: Option<String>,
    /// The full name of the payload's proto message, if it is told.
    pub message_type: Option<String>,
    /// The routing key with which it was published first.
    pub routing_key: String,
    /// The queue that it was taken from, if it is known.
    pub queue: Option<String>,
    /// Why it is a dead letter, if that is known: up to 500 characters, ids at most.
    pub reason: Option<String>,
    /// When it became one, if that is known.
    pub time: Option<DateTime<Utc>>,
    /// The payload as it came.
    pub body: Vec<u8>,
}

/// Some of the letters, by the time of their death, to the millisecond, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The letters.
    pub letters: Vec<DeadLetter>,
    /// How many more there are behind them.
    pub remaining: u32,
}

/// What came of sending many letters back.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Redriven {
    /// How many went back.
    pub redriven: u32,
    /// How many were looked at and stay, since the queue that they came from is not known or no work queue any more.
    pub kept: u32,
    /// What ended it early. The letters from there on stay; the one that it happened to may have gone back as well.
    pub failure: Option<PublishError>,
}

/// Why a letter was not sent back. It is still there.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RedriveError {
    /// There is none of this id, or too many others.
    #[error("there is no such dead letter among the {MAX_DEPTH} that can be looked at")]
    NotFound,
    /// The queue that it came from is not known, or no work queue any more.
    #[error("the queue that it came from is not known or gone")]
    NoQueue,
    /// The queue did not take it, as far as is known, or the broker cannot be used.
    #[error(transparent)]
    Failed(#[from] PublishError),
}

impl From<BrokerError> for RedriveError {
    fn from(error: BrokerError) -> Self {
        Self::Failed(error.into())
    }
}

/// The dead letters of the broker of its settings. Every call connects and leaves again.
#[derive(Clone, Debug)]
pub struct DeadLetters {
    broker: BrokerSettings,
}

impl DeadLetters {
    /// The dead letters of a broker.
    #[must_use]
    pub fn new(broker: BrokerSettings) -> Self {
        Self { broker }
    }

    /// The oldest letters but for the first `skip`, at most `limit` and [`MAX_PAGE`], none of which goes away. A page may be
    /// shorter than that: see [`MAX_BYTES`] and [`MAX_DEPTH`].
    ///
    /// # Errors
    /// If the broker cannot be used, or takes longer than a minute.
    pub async fn list(&self, skip: u32, limit: u32) -> Result<Page, BrokerError> {
        let skip = skip.min(MAX_DEPTH);
        let limit = limit.min(MAX_PAGE).min(MAX_DEPTH - skip);
        match &self.broker.place {
            Place::RabbitMq(uri) => {
                let letters = RabbitLetters::open(uri, &self.broker).await?;
                letters.list(skip, limit).await
            }
            Place::File(path) => {
                let letters = EmbeddedLetters::open(path, &self.broker).await?;
                letters.list(skip, limit).await
            }
        }
    }

    /// Sends a letter back to the queue that it came from, as it was.
    ///
    /// # Errors
    /// If it was not sent back, as far as is known.
    pub async fn redrive(&self, id: &str) -> Result<(), RedriveError> {
        match &self.broker.place {
            Place::RabbitMq(uri) => {
                let letters = RabbitLetters::open(uri, &self.broker).await?;
                letters.redrive(id).await
            }
            Place::File(path) => {
                let letters = EmbeddedLetters::open(path, &self.broker).await?;
                letters.redrive(id).await
            }
        }
    }

    /// Sends the oldest letters back, each to the queue that it came from: at most `limit` and [`MAX_DEPTH`] are looked at, and
    /// none that comes meanwhile or dies again. The first that its queue does not take ends it.
    pub async fn redrive_oldest(&self, limit: u32) -> Redriven {
        let limit = limit.min(MAX_DEPTH);
        match &self.broker.place {
            Place::RabbitMq(uri) => match RabbitLetters::open(uri, &self.broker).await {
                Ok(letters) => letters.redrive_oldest(limit).await,
                Err(error) => Redriven::failed(error),
            },
            Place::File(path) => match EmbeddedLetters::open(path, &self.broker).await {
                Ok(letters) => letters.redrive_oldest(limit).await,
                Err(error) => Redriven::failed(error),
            },
        }
    }
}

impl Redriven {
    pub(crate) fn failed(error: BrokerError) -> Self {
        Self {
            failure: Some(error.into()),
            ..Self::default()
        }
    }

    /// Notes what came of a letter. False if this ends it.
    pub(crate) fn note(&mut self, outcome: Result<(), RedriveError>) -> bool {
        match outcome {
            Ok(()) => self.redriven += 1,
            // Another call was faster.
            Err(RedriveError::NotFound) => {}
            Err(RedriveError::NoQueue) => self.kept += 1,
            Err(RedriveError::Failed(error)) => self.failure = Some(error),
        }
        self.failure.is_none()
    }
}

/// Some of the letters, while it is made.
#[derive(Default)]
pub(crate) struct Pages {
    pub(crate) letters: Vec<DeadLetter>,
    bytes: usize,
}

impl Pages {
    /// Takes one more. False if it was the last that fits.
    pub(crate) fn push(&mut self, letter: DeadLetter) -> bool {
        self.bytes = self.bytes.saturating_add(letter.body.len());
        self.letters.push(letter);
        self.bytes < MAX_BYTES
    }
}

impl DeadLetter {
    /// Sorts letters, the oldest first; those of one moment always in the same order.
    pub(crate) fn age(&self) -> (Option<DateTime<Utc>>, Option<&str>, &str) {
        (self.time, self.message_id.as_deref(), &self.id)
    }
}

impl fmt::Debug for DeadLetter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadLetter")
            .field("id", &self.id)
            .field("message_id", &self.message_id)
            .field("message_type", &self.message_type)
            .field("routing_key", &self.routing_key)
            .field("queue", &self.queue)
            .field("reason", &self.reason)
            .field("time", &self.time)
            .field("bytes", &self.body.len())
            .finish()
    }
}
