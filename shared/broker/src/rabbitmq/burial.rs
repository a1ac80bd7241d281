//! Puts a message among the dead letters, with the reason.

use lapin::{
    BasicProperties,
    message::Delivery,
    types::{AMQPValue, ShortString},
    uri::AMQPUri,
};

use super::{confirm::Outgoing, declare::short, properties::carried_over, publisher::RabbitPublisher};
use crate::{
    consumer::{DEAD_QUEUE, DEAD_REASON, DEAD_TIME, Death},
    publisher::PublishError,
    settings::BrokerSettings,
};

/// Publishes dead letters. Over a connection of its own: when the broker is short of memory or disk it blocks connections that
/// publish, and the acknowledgements that would help it must not be blocked with them.
pub(crate) struct Burial {
    publisher: RabbitPublisher,
    exchange: ShortString,
}

impl Burial {
    pub(crate) fn new(uri: &AMQPUri, settings: &BrokerSettings) -> Self {
        Self {
            publisher: RabbitPublisher::new(uri.clone(), settings.clone()),
            exchange: short(settings.topology().dead_letters()),
        }
    }

    /// Returns once the broker has confirmed it.
    pub(super) async fn publish(&self, original: &Delivery, body: &[u8], death: &Death) -> Result<(), PublishError> {
        let letter = Outgoing {
            exchange: self.exchange.clone(),
            routing_key: original.routing_key.clone(),
            properties: properties(&original.properties, death),
            mandatory: true,
            body,
        };
        self.publisher
            .send(&[letter])
            .await
            .pop()
            .unwrap_or(Err(PublishError::Unconfirmed))
    }

    pub(crate) async fn close(&self) {
        self.publisher.close().await;
    }
}

/// Those of the original with three more headers.
fn properties(original: &BasicProperties, death: &Death) -> BasicProperties {
    let mut headers = original.headers().clone().unwrap_or_default();
    for (name, value) in [
        (DEAD_REASON, &death.reason),
        (DEAD_QUEUE, &death.queue),
        (DEAD_TIME, &death.time),
    ] {
        headers.insert(name.into(), AMQPValue::LongString(value.as_str().into()));
    }
    carried_over(original, headers)
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use lapin::types::FieldTable;

    use super::*;
    use crate::{consumer::MAX_REASON, rabbitmq::properties::PERSISTENT};

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
        let death = Death::new(&"x".repeat(MAX_REASON + 1), "work", DateTime::UNIX_EPOCH);
        let dead = properties(&original, &death);
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
