//! How many messages wait in RabbitMQ's queues, asked without taking any.

use lapin::{options::QueueDeclareOptions, types::FieldTable, uri::AMQPUri};
use tokio::{sync::Mutex, time::timeout};

use super::{declare::short, link::Link};
use crate::{error::BrokerError, settings::BrokerSettings};

/// A connection that is kept for the next time.
pub(crate) struct RabbitDepths(Mutex<Option<Link>>);

impl RabbitDepths {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The depth of every queue, in the order of the topology.
    pub(crate) async fn read(&self, uri: &AMQPUri, broker: &BrokerSettings) -> Result<Vec<u64>, BrokerError> {
        let mut kept = self.0.lock().await;
        let link = match kept.take().filter(Link::is_up) {
            Some(link) => link,
            None => Link::open(uri, broker).await?,
        };
        let mut depths = Vec::new();
        for queue in broker.topology.queues() {
            let options = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let asking = link
                .channel
                .queue_declare(short(&queue.name), options, FieldTable::default());
            let asked = timeout(broker.confirm_timeout, asking).await;
            depths.push(asked.map_err(|_| BrokerError::Timeout)??.message_count().into());
        }
        // After a fault it is dropped, and another one is opened the next time.
        *kept = Some(link);
        Ok(depths)
    }
}
