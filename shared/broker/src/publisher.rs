//! Publishes events, each confirmed by the broker: RabbitMQ, or the embedded one.

use crate::{
    embedded::EmbeddedPublisher,
    error::BrokerError,
    event::Event,
    rabbitmq::RabbitPublisher,
    settings::{BrokerSettings, Place},
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
}

/// Publishes to the broker of its settings, which it opens when it is needed and again after a fault: when to call again is
/// for the caller to say.
pub struct Publisher(Kind);

enum Kind {
    RabbitMq(Box<RabbitPublisher>),
    Embedded(Box<EmbeddedPublisher>),
}

impl Publisher {
    /// A publisher that has not connected yet.
    #[must_use]
    pub fn new(settings: BrokerSettings) -> Self {
        Self(match settings.place.clone() {
            Place::RabbitMq(uri) => Kind::RabbitMq(Box::new(RabbitPublisher::new(*uri, settings))),
            Place::File(path) => Kind::Embedded(Box::new(EmbeddedPublisher::new(path, settings))),
        })
    }

    /// Opens the connection and declares the topology, unless that is done. Takes no longer than the timeout to connect.
    /// The embedded broker's file stays this process's for as long as the publisher is there.
    ///
    /// # Errors
    /// If the broker cannot be used.
    pub async fn ready(&self) -> Result<(), BrokerError> {
        match &self.0 {
            Kind::RabbitMq(publisher) => publisher.ready().await,
            Kind::Embedded(publisher) => publisher.ready().await,
        }
    }

    /// Publishes all, and awaits all confirmations together: one result for each event, in the same order. Takes no longer
    /// than the timeouts to connect and to confirm; calls at the same time wait for each other.
    pub async fn publish(&self, batch: &[Event]) -> Vec<Result<(), PublishError>> {
        match &self.0 {
            Kind::RabbitMq(publisher) => publisher.publish(batch).await,
            Kind::Embedded(publisher) => publisher.publish(batch).await,
        }
    }

    /// Closes the connection in good order.
    pub async fn close(&self) {
        if let Kind::RabbitMq(publisher) = &self.0 {
            publisher.close().await;
        }
    }
}
