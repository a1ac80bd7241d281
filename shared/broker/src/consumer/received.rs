//! A message as the service sees it, and what the service says about it.

use std::fmt;

use crate::trace::TraceHeaders;

/// A message from a queue. Nothing about it has been checked. Its body is never part of debug output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// The payload.
    pub body: Vec<u8>,
    /// The event's id, as text.
    pub message_id: Option<String>,
    /// The full name of the payload's proto message.
    pub message_type: Option<String>,
    /// The routing key with which it was published.
    pub routing_key: String,
    /// The trace that it is part of.
    pub trace: TraceHeaders,
    /// Whether it was handed out before.
    pub redelivered: bool,
}

/// What a handler says about a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is kept: the broker may forget it.
    Done,
    /// No sense can be made of it, now or later. It becomes a dead letter with this reason, which has ids at most: operators
    /// read it.
    Malformed(String),
    /// Something that is needed is down: the same message is tried again, after a pause of the whole consumer. The reason is
    /// logged, and has ids at most.
    Unavailable(String),
}

impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Received")
            .field("bytes", &self.body.len())
            .field("message_id", &self.message_id)
            .field("message_type", &self.message_type)
            .field("routing_key", &self.routing_key)
            .field("redelivered", &self.redelivered)
            .finish_non_exhaustive()
    }
}
