//! What is told of a message that became a dead letter.

use chrono::{DateTime, SecondsFormat, Utc};

/// Header of a dead letter: why it is one.
pub const DEAD_REASON: &str = "carepost-dead-reason";
/// Header of a dead letter: the queue that it was taken from.
pub const DEAD_QUEUE: &str = "carepost-dead-queue";
/// Header of a dead letter: when it became one, by RFC 3339, in UTC.
pub const DEAD_TIME: &str = "carepost-dead-time";

/// The most characters of a reason.
pub(crate) const MAX_REASON: usize = 500;

/// Why, whence and when a message became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Death {
    pub reason: String,
    pub queue: String,
    pub time: String,
}

impl Death {
    pub(crate) fn new(reason: &str, queue: &str, now: DateTime<Utc>) -> Self {
        Self {
            reason: reason.chars().take(MAX_REASON).collect(),
            queue: queue.to_owned(),
            time: now.to_rfc3339_opts(SecondsFormat::Millis, true),
        }
    }
}
