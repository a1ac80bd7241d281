//! Publishes events to RabbitMQ, each confirmed by the broker.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
    uri::AMQPUri,
};
use tokio::sync::{Mutex, MutexGuard};

use super::{
    confirm::{self, Outgoing},
    declare::short,
    link::Link,
    properties::PERSISTENT,
};
use crate::{
    error::BrokerError,
    event::{CONTENT_TYPE, Event},
    publisher::PublishError,
    settings::BrokerSettings,
};

/// Whether the next try needs a new connection: after [`PublishError::Unroutable`] too, since a binding must have gone and
/// each new connection declares the topology.
pub(super) fn breaks_connection(error: &PublishError) -> bool {
    !matches!(error, PublishError::Refused)
}

/// Publishes over a connection of its own, opened when it is needed. After any fault it is dropped, and the next call opens
/// another: when to call again is for the caller to say.
pub(crate) struct RabbitPublisher {
    uri: AMQPUri,
    settings: BrokerSettings,
    link: Mutex<Option<Link>>,
}

impl RabbitPublisher {
    /// A publisher that has not connected yet.
    pub(crate) fn new(uri: AMQPUri, settings: BrokerSettings) -> Self {
        Self {
            uri,
            settings,
            link: Mutex::new(None),
        }
    }

    /// Opens the connection and declares the topology, unless that is done. Takes no longer than the timeout to connect.
    pub(crate) async fn ready(&self) -> Result<(), BrokerError> {
        let mut slot = self.link.lock().await;
        let link = self.take_or_open(&mut slot).await?;
        *slot = Some(link);
        Ok(())
    }

    /// Publishes all, and awaits all confirmations together: one result for each event, in the same order. Takes no longer
    /// than the timeouts to connect and to confirm; calls at the same time wait for each other.
    pub(crate) async fn publish(&self, batch: &[Event]) -> Vec<Result<(), PublishError>> {
        let outgoing: Vec<_> = batch.iter().map(|event| self.outgoing(event)).collect();
        self.send(&outgoing).await
    }

    /// As [`RabbitPublisher::publish`], for messages of any form.
    pub(super) async fn send(&self, batch: &[Outgoing<'_>]) -> Vec<Result<(), PublishError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let mut slot = self.link.lock().await;
        // Out of its slot: if the caller gives up in between, the connection goes, with the confirmations under way on it.
        let link = match self.take_or_open(&mut slot).await {
            Ok(link) => link,
            Err(error) => return batch.iter().map(|_| Err(error.clone().into())).collect(),
        };
        let outcomes = confirm::publish_all(&link.channel, batch, self.settings.confirm_timeout).await;
        let broken = |outcome: &Result<(), PublishError>| matches!(outcome, Err(error) if breaks_connection(error));
        if !outcomes.iter().any(broken) {
            *slot = Some(link);
        }
        outcomes
    }

    /// Closes the connection in good order.
    pub(crate) async fn close(&self) {
        if let Some(link) = self.link.lock().await.take() {
            link.close().await;
        }
    }

    async fn take_or_open(&self, slot: &mut MutexGuard<'_, Option<Link>>) -> Result<Link, BrokerError> {
        match slot.take() {
            Some(link) if link.is_up() => Ok(link),
            _ => Link::open(&self.uri, &self.settings).await,
        }
    }

    fn outgoing<'a>(&self, event: &'a Event) -> Outgoing<'a> {
        Outgoing {
            exchange: short(self.settings.topology.events()),
            routing_key: event.kind.routing_key().into(),
            properties: properties(event),
            mandatory: !event.kind.is_hint(),
            body: &event.payload,
        }
    }
}

/// What AMQP says about an event, beside routing key and payload.
fn properties(event: &Event) -> BasicProperties {
    let mut headers = FieldTable::default();
    for (name, value) in event.trace.iter() {
        headers.insert(name.into(), AMQPValue::LongString(value.into()));
    }
    BasicProperties::default()
        .with_message_id(event.id.to_string().into())
        .with_content_type(CONTENT_TYPE.into())
        .with_type(event.kind.message_type().into())
        .with_timestamp(event.occurred_at.timestamp().try_into().unwrap_or_default())
        .with_delivery_mode(PERSISTENT)
        .with_headers(headers)
}
