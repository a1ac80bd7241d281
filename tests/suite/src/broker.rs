//! Looking into RabbitMQ.

use lapin::{
    Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions},
    types::FieldTable,
};

use crate::wait::{LONG, until};

/// How many events lie in the dead letter queue of the suite with this prefix.
pub async fn dead_letters(url: &str, prefix: &str) -> u32 {
    let connection = Connection::connect(url, ConnectionProperties::default())
        .await
        .expect("the broker answers");
    let channel = connection.create_channel().await.expect("a channel");
    let options = QueueDeclareOptions {
        passive: true,
        ..QueueDeclareOptions::default()
    };
    let name = format!("{prefix}carepost.dead-letters");
    let queue = channel
        .queue_declare(name.into(), options, FieldTable::default())
        .await
        .expect("the queue is there");
    queue.message_count()
}

/// Deletes the queues of the suite with this prefix that outlast its processes, and all that is in them.
pub async fn delete_queues(url: &str, prefix: &str) {
    for queue in [
        "notification.message-sent",
        "messaging.directory-changed",
        "dead-letters",
    ] {
        let name = format!("{prefix}carepost.{queue}");
        // A quorum queue that is deleted before it has a leader, as after a start of the broker, leaves something behind: one that
        // is made under its name then cannot be used.
        let deleted = until(LONG, async || delete(url, &name).await.is_ok()).await;
        assert!(deleted, "{name} cannot be deleted");
    }
}

async fn delete(url: &str, queue: &str) -> lapin::Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    let options = BasicGetOptions { no_ack: true };
    channel.basic_get(queue.into(), options).await?;
    channel
        .queue_delete(queue.into(), QueueDeleteOptions::default())
        .await?;
    Ok(())
}

/// A queue that gets every event, beside those who take them. It outlives a restart of the broker.
#[derive(Clone, Debug)]
pub struct Tap {
    url: String,
    queue: String,
}

impl Tap {
    /// Taps the suite with this prefix.
    pub async fn new(url: String, prefix: &str) -> Self {
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .expect("the broker answers");
        let queue = format!("{prefix}tap");
        let exchange = format!("{prefix}carepost.events");
        // Until a service has made the exchange.
        let bound = until(LONG, async || bind(&connection, &queue, &exchange).await.is_ok()).await;
        assert!(bound, "the exchange is not there");
        Self { url, queue }
    }

    /// All events so far, with what their envelopes say, as text.
    pub async fn take(&self) -> String {
        let connection = Connection::connect(&self.url, ConnectionProperties::default())
            .await
            .expect("the broker answers");
        let channel = connection.create_channel().await.expect("a channel");
        let options = BasicGetOptions { no_ack: true };
        let mut text = String::new();
        while let Some(event) = channel
            .basic_get(self.queue.as_str().into(), options)
            .await
            .expect("the queue is there")
        {
            let body = String::from_utf8_lossy(&event.delivery.data).into_owned();
            text += &format!(
                "{} {:?} {body}\n",
                event.delivery.routing_key, event.delivery.properties
            );
        }
        text
    }
}

async fn bind(connection: &Connection, queue: &str, exchange: &str) -> lapin::Result<()> {
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    let (none, all) = (FieldTable::default(), QueueBindOptions::default());
    channel.queue_declare(queue.into(), options, none.clone()).await?;
    channel
        .queue_bind(queue.into(), exchange.into(), "#".into(), all, none)
        .await
}
