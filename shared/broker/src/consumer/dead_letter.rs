//! Puts a message among the dead letters, with the reason.

use carepost_runtime::Clock;
use chrono::{DateTime, SecondsFormat, Utc};
use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, FieldTable, ShortString},
};

use crate::{
    confirm::Outgoing,
    event::PERSISTENT,
    publisher::{PublishError, RabbitPublisher},
    settings::BrokerSettings,
    topology,
};

/// Header of a dead letter: why it is one.
pub const DEAD_REASON: &str = "carepost-dead-reason";
/// Header of a dead letter: the queue that it was taken from.
pub const DEAD_QUEUE: &str = "carepost-dead-queue";
/// Header of a dead letter: when it became one, by RFC 3339, in UTC.
pub const DEAD_TIME: &str = "carepost-dead-time";

/// The most characters of a reason.
const MAX_REASON: usize = 500;

/// Publishes dead letters. Over a connection of its own: when the broker is short of memory or disk it blocks connections that
/// publish, and the acknowledgements that would help it must not be blocked with them.
pub(super) struct DeadLetters {
    publisher: RabbitPublisher,
    exchange: ShortString,
    queue: String,
    clock: Clock,
}

impl DeadLetters {
    pub(super) fn new(settings: &BrokerSettings, queue: &str, clock: Clock) -> Self {
        Self {
            publisher: RabbitPublisher::new(settings.clone()),
            exchange: topology::short(settings.topology().dead_letters()),
            queue: queue.to_owned(),
            clock,
        }
    }

    /// Returns once the broker has confirmed it.
    pub(super) async fn publish(&self, original: &Delivery, body: &[u8], reason: &str) -> Result<(), PublishError> {
        let properties = properties(&original.properties, &self.queue, reason, self.clock.now());
        let letter = Outgoing {
            exchange: self.exchange.clone(),
            routing_key: original.routing_key.clone(),
            message_id: properties
                .message_id()
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            properties,
            body,
        };
        self.publisher
            .send(&[letter])
            .await
            .pop()
            .unwrap_or(Err(PublishError::Unconfirmed))
    }

    pub(super) async fn close(&self) {
        self.publisher.close().await;
    }
}

/// Those of the original with three more headers. Left out is what would harm: an expiry would take the letter away again,
/// and the broker refuses the user of anybody else.
fn properties(original: &BasicProperties, queue: &str, reason: &str, now: DateTime<Utc>) -> BasicProperties {
    let reason: String = reason.chars().take(MAX_REASON).collect();
    let mut headers = original.headers().clone().unwrap_or_default();
    let time = now.to_rfc3339_opts(SecondsFormat::Millis, true);
    for (name, value) in [
        (DEAD_REASON, reason.as_str()),
        (DEAD_QUEUE, queue),
        (DEAD_TIME, time.as_str()),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    let mut properties = copy(original, headers).with_delivery_mode(PERSISTENT);
    if let Some(timestamp) = original.timestamp() {
        properties = properties.with_timestamp(*timestamp);
    }
    if let Some(priority) = original.priority() {
        properties = properties.with_priority(*priority);
    }
    properties
}

fn copy(original: &BasicProperties, headers: FieldTable) -> BasicProperties {
    type Setter = fn(BasicProperties, ShortString) -> BasicProperties;
    let texts: [(&Option<ShortString>, Setter); 7] = [
        (original.content_type(), BasicProperties::with_content_type),
        (original.content_encoding(), BasicProperties::with_content_encoding),
        (original.correlation_id(), BasicProperties::with_correlation_id),
        (original.reply_to(), BasicProperties::with_reply_to),
        (original.message_id(), BasicProperties::with_message_id),
        (original.kind(), BasicProperties::with_type),
        (original.app_id(), BasicProperties::with_app_id),
    ];
    let given = texts.into_iter().filter_map(|(value, set)| Some((value.clone()?, set)));
    given.fold(
        BasicProperties::default().with_headers(headers),
        |properties, (value, set)| set(properties, value),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dead_letter_keeps_what_it_was_and_lasts() {
        let mut headers = FieldTable::default();
        headers.insert("traceparent".into(), AMQPValue::LongString("00-1-2-01".into()));
        let original = BasicProperties::default()
            .with_message_id("17".into())
            .with_type("some.Event".into())
            .with_timestamp(4711)
            .with_headers(headers)
            .with_expiration("1000".into())
            .with_user_id("somebody".into());
        let dead = properties(&original, "work", &"x".repeat(MAX_REASON + 1), DateTime::UNIX_EPOCH);
        assert_eq!(dead.message_id(), original.message_id());
        assert_eq!(dead.kind(), original.kind());
        assert_eq!(dead.timestamp(), original.timestamp());
        assert_eq!((dead.expiration(), dead.user_id()), (&None, &None));
        assert_eq!(*dead.delivery_mode(), Some(PERSISTENT));
        let headers = dead.headers().as_ref().unwrap().inner();
        let header = |name: &str| headers[name].as_long_string().unwrap().to_string();
        assert_eq!(header("traceparent"), "00-1-2-01");
        assert_eq!(header(DEAD_REASON).len(), MAX_REASON);
        assert_eq!(header(DEAD_QUEUE), "work");
        assert_eq!(header(DEAD_TIME), "1970-01-01T00:00:00.000Z");
    }
}
