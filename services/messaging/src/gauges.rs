//! The gauges of this service, read now and then.

use carepost_broker::gauges::Gauges;
use carepost_runtime::{
    Clock,
    metrics::{
        labels::{Age, Component},
        metrics,
    },
};
use sea_orm::DatabaseConnection;

use crate::store::Store;

/// The component that they are of.
pub const COMPONENT: Component = Component::Messaging;

/// Reads them. False if the database does not answer.
pub async fn read(store: &Store, broker: &Gauges, database: &DatabaseConnection, clock: &Clock) -> bool {
    broker.queues().await;
    let outbox = broker.outbox(database).await;
    let Ok(bands) = store.unanswered_by_age(clock.now()).await else {
        return false;
    };
    for (age, conversations) in [
        (Age::UnderOneDay, bands.under_1_day),
        (Age::OneToThreeDays, bands.days_1_to_3),
        (Age::ThreeToSevenDays, bands.days_3_to_7),
        (Age::SevenToThirtyDays, bands.days_7_to_30),
        (Age::OverThirtyDays, bands.over_30_days),
    ] {
        metrics().unanswered(age, conversations.try_into().unwrap_or_default());
    }
    outbox
}
