//! A connection to RabbitMQ. It is never repaired: whatever breaks it, it is dropped and another one is opened.

use std::time::Duration;

use carepost_runtime::tls;
use lapin::{
    Channel, Connection, ConnectionBuilder, ConnectionProperties, options::ConfirmSelectOptions, tcp::OwnedTLSConfig,
    uri::AMQPUri,
};
use tokio::time::timeout;

use super::declare::declare;
use crate::{error::BrokerError, settings::BrokerSettings};

/// How long a farewell may take. The broker finds out by itself if it gets none.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection with one channel in confirm mode, behind which the whole topology is declared.
pub(super) struct Link {
    connection: Connection,
    pub(super) channel: Channel,
}

impl Link {
    pub(super) async fn open(uri: &AMQPUri, settings: &BrokerSettings) -> Result<Self, BrokerError> {
        let opening = async {
            let properties = ConnectionProperties::default().with_connection_name(settings.name.as_str().into());
            let connection = ConnectionBuilder::new()?
                .with_uri(uri.clone())
                .with_properties(properties)
                .with_tls_config(trusted(settings).await?)
                .connect()
                .await?;
            let channel = connection.create_channel().await?;
            declare(&channel, &settings.topology).await?;
            channel.confirm_select(ConfirmSelectOptions::default()).await?;
            Ok(Self { connection, channel })
        };
        timeout(settings.connect_timeout, opening)
            .await
            .unwrap_or(Err(BrokerError::Timeout))
    }

    pub(super) fn is_up(&self) -> bool {
        self.connection.status().connected() && self.channel.status().connected()
    }

    /// Closes in good order; what is not acknowledged goes back to its queue.
    pub(super) async fn close(self) {
        let farewell = self
            .connection
            .close(lapin::protocol::constants::REPLY_SUCCESS, "OK".into());
        let _ = timeout(CLOSE_TIMEOUT, farewell).await;
    }
}

/// Whom to trust, as the file is now: whoever renews it only has to replace it.
async fn trusted(settings: &BrokerSettings) -> Result<OwnedTLSConfig, BrokerError> {
    let Some(file) = settings.ca_file.clone() else {
        return Ok(OwnedTLSConfig::default());
    };
    let read = tokio::task::spawn_blocking(move || tls::authorities_pem(&file)).await;
    let pem = read.map_err(|_| BrokerError::Timeout)?;
    Ok(OwnedTLSConfig {
        identity: None,
        cert_chain: Some(pem.map_err(BrokerError::Authorities)?),
    })
}
