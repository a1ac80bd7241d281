//! Exchanges and queues, described once, as data. Every process declares all of them before it publishes or consumes.
//!
//! On RabbitMQ, all are durable, and their names begin with the setting `broker.prefix`, empty by default:
//!
//! | name | | |
//! |---|---|---|
//! | `carepost.events` | topic exchange | every event, with the [routing key](crate::event::EventKind::routing_key) of its kind |
//! | `carepost.notification.message-sent` | quorum queue | `message.sent`, for emails |
//! | `carepost.messaging.directory-changed` | quorum queue | `directory.changed`, for names in conversations |
//! | `carepost.dead-letters` | fanout exchange, quorum queue | what no consumer can make sense of |
//! | `carepost.listener.ID` | classic queue | every event, as a hint: see [`listener`](crate::listener) |
//!
//! **A message** is an encoded proto message of `carepost.event.v1`. Its properties: `content_type`
//! `application/x-protobuf`, `type` the full name of the proto message, `message_id` the event's id, `timestamp` when it
//! happened, in seconds, `delivery_mode` 2, and the headers `traceparent` and `tracestate` of the W3C trace context, where
//! there is a trace. It comes at least once, and with the same id each time.
//!
//! **Work queues** are bounded by `broker.queue_max_length`: a full one refuses, and the event waits in its outbox. An event
//! that no queue takes is not published, but for the kinds that are [hints](crate::event::EventKind::is_hint) alone.
//!
//! **A listener's queue** is its connection's own and goes with it; it has up to 10,000 messages and 32 MiB, and drops its
//! oldest for a newer one.
//!
//! **A dead letter** is the message as it was, body and properties, with three more headers: `carepost-dead-reason` (up to
//! 500 characters, ids at most), `carepost-dead-queue` (the queue that it was taken from) and `carepost-dead-time`
//! (RFC 3339). What RabbitMQ itself gives up has its `x-death` headers instead. One that is
//! [sent back](crate::dead_letters::DeadLetters::redrive) goes to that queue alone, by the default exchange, without these
//! headers and with one more, `carepost-routing-key`: the key with which it was published first.
//!
//! **Permissions** on RabbitMQ: to configure, write and read all that begins with the prefix and `carepost.`; who sends dead
//! letters back also writes to `amq.default`.
//!
//! The embedded broker has the work queues and the dead letters, under the same names, in one file.

use uuid::Uuid;

use crate::event::EventKind;

/// The most characters of a prefix: with it, every name stays below AMQP's 255.
pub const MAX_PREFIX: usize = 100;

/// How many messages a queue holds unless told otherwise.
pub const DEFAULT_MAX_LENGTH: u32 = 1_000_000;

/// A prefix that is too long, or has characters that are no part of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must have at most {MAX_PREFIX} characters of a-z, A-Z, 0-9, '.', '_' and '-'")]
pub struct PrefixError;

/// An exchange. Durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// Whether it ignores routing keys and copies to every queue; otherwise it is a topic exchange.
    pub fanout: bool,
}

/// A queue that outlasts its consumers, bound to one exchange. Quorum, durable, bounded: when it is full it refuses, it never drops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// The exchange that it is bound to.
    pub exchange: String,
    /// The routing key of the binding.
    pub routing_key: &'static str,
    /// Where RabbitMQ itself would put what it gives up, at least once. Consumers put malformed events there themselves.
    pub dead_letters: Option<String>,
}

/// All exchanges and queues of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    /// Exchanges, in the order of declaration.
    exchanges: [Exchange; 2],
    /// Queues, in the order of declaration.
    queues: [Queue; 3],
    max_length: u32,
    prefix: String,
}

impl Default for Topology {
    /// Names without a prefix, queues of the default length.
    fn default() -> Self {
        Self::prefixed("", DEFAULT_MAX_LENGTH)
    }
}

impl Topology {
    /// The topology with every name prefixed, and queues of at most `max_length` messages.
    ///
    /// A queue keeps the length that it was made with: RabbitMQ refuses a declaration with another one, until an operator
    /// has removed the queue.
    ///
    /// # Errors
    /// If the prefix cannot be part of a name.
    pub fn new(prefix: &str, max_length: u32) -> Result<Self, PrefixError> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if prefix.len() > MAX_PREFIX || !prefix.bytes().all(fits) {
            return Err(PrefixError);
        }
        Ok(Self::prefixed(prefix, max_length))
    }

    fn prefixed(prefix: &str, max_length: u32) -> Self {
        let name = |rest: &str| format!("{prefix}carepost.{rest}");
        let (events, dead_letters) = (name("events"), name("dead-letters"));
        let work = |name: String, kind: EventKind| Queue {
            name,
            exchange: events.clone(),
            routing_key: kind.routing_key(),
            dead_letters: Some(dead_letters.clone()),
        };
        let queues = [
            Queue {
                name: dead_letters.clone(),
                exchange: dead_letters.clone(),
                routing_key: "",
                dead_letters: None,
            },
            work(name("notification.message-sent"), EventKind::MessageSent),
            work(name("messaging.directory-changed"), EventKind::DirectoryChanged),
        ];
        let exchange = |name: &str, fanout| Exchange {
            name: name.to_owned(),
            fanout,
        };
        Self {
            exchanges: [exchange(&events, false), exchange(&dead_letters, true)],
            queues,
            max_length,
            prefix: prefix.to_owned(),
        }
    }

    /// The exchange to which every event is published, with the routing key of its kind.
    #[must_use]
    pub fn events(&self) -> &str {
        &self.exchanges[0].name
    }

    /// The exchange, and the queue of the same name, of what no consumer can make sense of.
    #[must_use]
    pub fn dead_letters(&self) -> &str {
        &self.exchanges[1].name
    }

    /// The work queue from which notification takes the messages that were sent.
    #[must_use]
    pub fn message_sent_queue(&self) -> &str {
        &self.queues[1].name
    }

    /// The work queue from which messaging takes the changes of the directory.
    #[must_use]
    pub fn directory_changed_queue(&self) -> &str {
        &self.queues[2].name
    }

    /// The queue of one listener, which goes with its connection.
    pub(crate) fn listener_queue(&self, id: Uuid) -> String {
        format!("{}carepost.listener.{id}", self.prefix)
    }

    /// Every exchange.
    #[must_use]
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// Every queue.
    #[must_use]
    pub fn queues(&self) -> &[Queue] {
        &self.queues
    }

    /// The queues that take events of a kind.
    pub(crate) fn bound_for(&self, kind: EventKind) -> impl Iterator<Item = &Queue> {
        let bound = move |queue: &&Queue| queue.exchange == self.events() && queue.routing_key == kind.routing_key();
        self.queues.iter().filter(bound)
    }

    /// Whether this is the name of a queue that takes events.
    pub(crate) fn is_work_queue(&self, name: &str) -> bool {
        let work = |queue: &&Queue| queue.exchange == self.events();
        self.queues.iter().filter(work).any(|queue| queue.name == name)
    }

    /// How many messages a queue holds; beyond that it refuses.
    #[must_use]
    pub fn max_length(&self) -> u32 {
        self.max_length
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_the_prefix() {
        let topology = Topology::new("test-1-", 10).unwrap();
        assert_eq!(topology.events(), "test-1-carepost.events");
        assert_eq!(topology.dead_letters(), "test-1-carepost.dead-letters");
        assert_eq!(
            topology.message_sent_queue(),
            "test-1-carepost.notification.message-sent"
        );
        assert_eq!(
            topology.directory_changed_queue(),
            "test-1-carepost.messaging.directory-changed"
        );
        let exchanges: Vec<_> = topology
            .exchanges()
            .iter()
            .map(|exchange| exchange.name.as_str())
            .collect();
        for queue in topology.queues() {
            assert!(exchanges.contains(&queue.exchange.as_str()));
            assert!(
                queue
                    .dead_letters
                    .as_deref()
                    .is_none_or(|name| exchanges.contains(&name))
            );
        }
    }

    #[test]
    fn a_work_queue_takes_every_kind_that_is_no_hint() {
        let topology = Topology::default();
        for kind in EventKind::ALL {
            assert_eq!(topology.bound_for(kind).count() == 0, kind.is_hint(), "{kind:?}");
        }
    }

    #[test]
    fn a_prefix_that_is_no_part_of_a_name_is_refused() {
        assert!(Topology::new("", 10).is_ok());
        for prefix in ["a b", "#", "é", &"x".repeat(MAX_PREFIX + 1)] {
            assert_eq!(Topology::new(prefix, 10), Err(PrefixError));
        }
    }
}
