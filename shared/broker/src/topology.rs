//! Exchanges and queues, described once, as data. Every process declares all of them before it publishes or consumes.

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

/// A queue, bound to one exchange. Quorum, durable, bounded: when it is full it refuses, it never drops.
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
    queues: [Queue; 2],
    max_length: u32,
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
        let dead_letters = name("dead-letters");
        Self {
            exchanges: [
                Exchange {
                    name: name("events"),
                    fanout: false,
                },
                Exchange {
                    name: dead_letters.clone(),
                    fanout: true,
                },
            ],
            queues: [
                Queue {
                    name: dead_letters.clone(),
                    exchange: dead_letters.clone(),
                    routing_key: "",
                    dead_letters: None,
                },
                Queue {
                    name: name("notification.message-sent"),
                    exchange: name("events"),
                    routing_key: EventKind::MessageSent.routing_key(),
                    dead_letters: Some(dead_letters),
                },
            ],
            max_length,
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
    fn a_prefix_that_is_no_part_of_a_name_is_refused() {
        assert!(Topology::new("", 10).is_ok());
        for prefix in ["a b", "#", "é", &"x".repeat(MAX_PREFIX + 1)] {
            assert_eq!(Topology::new(prefix, 10), Err(PrefixError));
        }
    }
}
