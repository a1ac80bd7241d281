//! A connection to RabbitMQ. It is never repaired: whatever breaks it, it is dropped and another one is opened.

use std::time::Duration;

use lapin::{Channel, Connection, ConnectionProperties, options::ConfirmSelectOptions};
use tokio::time::timeout;

use crate::{settings::BrokerSettings, topology};

/// How long a farewell may take. The broker finds out by itself if it gets none.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the broker cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// It did not answer in time.
    #[error("the broker did not answer in time")]
    Timeout,
    /// It refused, or the connection broke.
    #[error("the broker cannot be used: {0}")]
    Amqp(#[from] lapin::Error),
    /// It ended a subscription, or a queue is gone.
    #[error("the broker ended the subscription")]
    Unsubscribed,
    /// The name of a queue has more than 255 bytes.
    #[error("the name of the queue is too long")]
    QueueName,
}

/// A connection with one channel in confirm mode, behind which the whole topology is declared.
pub(crate) struct Link {
    connection: Connection,
    pub(crate) channel: Channel,
}

impl Link {
    pub(crate) async fn open(settings: &BrokerSettings) -> Result<Self, BrokerError> {
        let opening = async {
            let properties = ConnectionProperties::default().with_connection_name(settings.name.as_str().into());
            let connection = Connection::connect_uri(settings.uri.clone(), properties).await?;
            let channel = connection.create_channel().await?;
            topology::declare(&channel, &settings.topology).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { connection, channel })
        };
        timeout(settings.connect_timeout, opening)
            .await
            .unwrap_or(Err(BrokerError::Timeout))
    }

    pub(crate) fn is_up(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// Closes in good order; what is not acknowledged goes back to its queue.
    pub(crate) async fn close(self) {
        let farewell = self
            .connection
            .close(lapin::protocol::constants::REPLY_SUCCESS, "OK".into());
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}
