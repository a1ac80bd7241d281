//! Publishes events to RabbitMQ, each confirmed by the broker.

use tokio::sync::{Mutex, MutexGuard};

use crate::{
    confirm::{self, Outgoing},
    event::Event,
    link::{BrokerError, Link},
    settings::BrokerSettings,
    topology,
};

/// Why an event was not published, as far as is known: it may have been, where no answer came.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PublishError {
    /// There is no connection, or it broke before the confirmation.
    #[error(transparent)]
    Connection(#[from] BrokerError),
    /// No confirmation came in time.
    #[error("the broker did not confirm in time")]
    Unconfirmed,
    /// The broker would not take it: a queue is full, or could not write.
    #[error("the broker refused the event")]
    Refused,
    /// No queue is bound for it.
    #[error("the event cannot be routed to any queue")]
    Unroutable,
}

impl PublishError {
    /// Whether it is the broker that fails or is full, rather than something about this one event.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        !matches!(self, Self::Unroutable)
    }

    /// Whether the next try needs a new connection: after [`PublishError::Unroutable`] too, since a binding must have gone
    /// and each new connection declares the topology.
    pub(crate) fn breaks_connection(&self) -> bool {
        !matches!(self, Self::Refused)
    }
}

/// Publishes over a connection of its own, opened when it is needed. After any fault it is dropped, and the next call opens
/// another: when to call again is for the caller to say.
pub struct RabbitPublisher {
    settings: BrokerSettings,
    link: Mutex<Option<Link>>,
}

impl RabbitPublisher {
    /// A publisher that has not connected yet.
    #[must_use]
    pub fn new(settings: BrokerSettings) -> Self {
        Self {
            settings,
            link: Mutex::new(None),
        }
    }

    /// Opens the connection and declares the topology, unless that is done. Takes no longer than the timeout to connect.
    ///
    /// # Errors
    /// If the broker cannot be used.
    pub async fn ready(&self) -> Result<(), BrokerError> {
        let mut slot = self.link.lock().await;
        let link = self.take_or_open(&mut slot).await?;
        *slot = Some(link);
        Ok(())
    }

    /// Publishes all, and awaits all confirmations together: one result for each event, in the same order. Takes no longer
    /// than the timeouts to connect and to confirm; calls at the same time wait for each other.
    pub async fn publish(&self, batch: &[Event]) -> Vec<Result<(), PublishError>> {
        let outgoing: Vec<_> = batch.iter().map(|event| self.outgoing(event)).collect();
        self.send(&outgoing).await
    }

    /// As [`RabbitPublisher::publish`], for messages of any form.
    pub(crate) async fn send(&self, batch: &[Outgoing<'_>]) -> Vec<Result<(), PublishError>> {
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
        let broken = |outcome: &Result<(), PublishError>| matches!(outcome, Err(error) if error.breaks_connection());
        if !outcomes.iter().any(broken) {
            *slot = Some(link);
        }
        outcomes
    }

    /// Closes the connection in good order.
    pub async fn close(&self) {
        if let Some(link) = self.link.lock().await.take() {
            link.close().await;
        }
    }

    async fn take_or_open(&self, slot: &mut MutexGuard<'_, Option<Link>>) -> Result<Link, BrokerError> {
        match slot.take() {
            Some(link) if link.is_up() => Ok(link),
            _ => Link::open(&self.settings).await,
        }
    }

    fn outgoing<'a>(&self, event: &'a Event) -> Outgoing<'a> {
        Outgoing {
            exchange: topology::short(self.settings.topology.events()),
            routing_key: event.kind.routing_key().into(),
            message_id: event.id.to_string(),
            properties: event.properties(),
            body: &event.payload,
        }
    }
}
