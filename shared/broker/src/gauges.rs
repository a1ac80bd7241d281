//! What waits in the outbox and in the queues, as metrics: read now and then, never because somebody scrapes.

use std::time::Duration;

use carepost_runtime::{
    Clock,
    metrics::{
        labels::{Component, Dependency, Queue},
        metrics,
    },
};
use sea_orm::DatabaseConnection;

use crate::{embedded, error::BrokerError, outbox, rabbitmq::RabbitDepths, settings::BrokerSettings, settings::Place};

/// Reads the gauges of one service's part in events.
pub struct Gauges {
    component: Component,
    broker: BrokerSettings,
    rabbit: RabbitDepths,
    clock: Clock,
}

impl Gauges {
    /// Of this service. It connects when it first reads.
    #[must_use]
    pub fn new(component: Component, broker: BrokerSettings, clock: Clock) -> Self {
        Self {
            component,
            broker,
            rabbit: RabbitDepths::new(),
            clock,
        }
    }

    /// Reads how deep the queues are, and notes whether the broker answers.
    pub async fn queues(&self) {
        let depths = match &self.broker.place {
            Place::RabbitMq(uri) => self.rabbit.read(uri, &self.broker).await,
            Place::File(path) => embedded::depths(path, &self.broker).await,
        };
        metrics().dependency(self.component, Dependency::Broker, depths.is_ok());
        match depths {
            Ok(depths) => self.note(depths),
            Err(error) => self.tell(&error),
        }
    }

    /// Reads what waits in the outbox. False if the database does not answer.
    pub async fn outbox(&self, database: &DatabaseConnection) -> bool {
        let Ok((events, oldest)) = outbox::waiting(database).await else {
            return false;
        };
        let age = oldest.and_then(|oldest| (self.clock.now() - oldest).to_std().ok());
        metrics().outbox(self.component, events, age.unwrap_or(Duration::ZERO));
        true
    }

    fn note(&self, depths: Vec<u64>) {
        for (queue, depth) in self.broker.topology.queues().iter().zip(depths) {
            if let Some(queue) = Queue::named(&queue.name) {
                metrics().queue(queue, depth);
            }
        }
    }

    fn tell(&self, error: &BrokerError) {
        tracing::warn!(component = self.component.word(), %error, "the queues cannot be counted");
    }
}
