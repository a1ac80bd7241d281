//! Looking into RabbitMQ.

use lapin::{Connection, ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};

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
