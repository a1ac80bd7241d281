//! Declares the topology.

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
};

use crate::topology::{Queue, Topology};

/// How often a message may come back before RabbitMQ gives it up. A consumer that crashes over and over must not turn a good
/// event into a dead letter, so this is out of reach; unset, RabbitMQ 4 would say 20.
const DELIVERY_LIMIT: i64 = 1_000_000_000;

/// Declares everything. What is there already is left as it is.
///
/// # Errors
/// If the broker fails, or has something of the same name with other properties.
pub(super) async fn declare(channel: &Channel, topology: &Topology) -> lapin::Result<()> {
    for exchange in topology.exchanges() {
        let kind = if exchange.fanout {
            ExchangeKind::Fanout
        } else {
            ExchangeKind::Topic
        };
        let options = ExchangeDeclareOptions {
            durable: true,
            ..ExchangeDeclareOptions::default()
        };
        channel
            .exchange_declare(short(&exchange.name), kind, options, FieldTable::default())
            .await?;
    }
    for queue in topology.queues() {
        let options = QueueDeclareOptions::durable();
        channel
            .queue_declare(short(&queue.name), options, arguments(topology, queue))
            .await?;
        let (exchange, key) = (short(&queue.exchange), short(queue.routing_key));
        let options = QueueBindOptions::default();
        channel
            .queue_bind(short(&queue.name), exchange, key, options, FieldTable::default())
            .await?;
    }
    Ok(())
}

/// A name of the topology, which is never too long.
pub(super) fn short(name: &str) -> ShortString {
    ShortString::try_new(name).unwrap_or_default()
}

fn arguments(topology: &Topology, queue: &Queue) -> FieldTable {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = FieldTable::default();
    arguments
        .insert("x-queue-type".into(), text("quorum"))
        .insert(
            "x-max-length".into(),
            AMQPValue::LongLongInt(topology.max_length().into()),
        )
        .insert("x-overflow".into(), text("reject-publish"))
        .insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERY_LIMIT));
    if let Some(exchange) = &queue.dead_letters {
        arguments
            .insert("x-dead-letter-exchange".into(), text(exchange))
            .insert("x-dead-letter-strategy".into(), text("at-least-once"));
    }
    arguments
}
