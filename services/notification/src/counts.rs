//! What is counted for operators: the metrics of this service.
//!
//! The counter of attempts says of each how it ended, once. Those that died are counted as unknown by whoever takes their
//! delivery over, so `unknown` is the number of attempts each of which may have been an email too many (docs/guarantees.md).

use carepost_runtime::metrics::{
    labels::{Attempt, Delivery, Ended},
    metrics,
};
use chrono::{DateTime, Utc};

use crate::{
    domain::{AttemptOutcome, DeliveryState, Settled},
    store::Store,
};

/// An attempt has ended, and that is recorded.
pub fn attempt_ended(settled: &Settled) {
    let outcome = match settled.outcome {
        AttemptOutcome::UnderWay => return,
        AttemptOutcome::Accepted => Attempt::Accepted,
        AttemptOutcome::Refused => Attempt::Refused,
        AttemptOutcome::Postponed => Attempt::Postponed,
        AttemptOutcome::Unknown => Attempt::Unknown,
        AttemptOutcome::Suppressed => Attempt::Suppressed,
    };
    metrics().attempted(outcome);
    match settled.state {
        DeliveryState::Sent => metrics().delivery_ended(Ended::Sent),
        DeliveryState::Failed => metrics().delivery_ended(Ended::Failed),
        DeliveryState::Suppressed => metrics().delivery_ended(Ended::Suppressed),
        DeliveryState::Pending | DeliveryState::Sending | DeliveryState::Retrying => {}
    }
}

/// An attempt is known to have died.
pub fn attempt_died() {
    metrics().attempted(Attempt::Unknown);
}

/// Reads how many deliveries are in each state that is not final, and how late they are. Tells whether the database answered.
pub async fn read(store: Store, now: DateTime<Utc>) -> bool {
    let waiting = match store.waiting().await {
        Ok(waiting) => waiting,
        Err(error) => {
            tracing::warn!(%error, "deliveries cannot be counted");
            return false;
        }
    };
    let overdue = waiting.due.map(|due| (now - due).to_std().unwrap_or_default());
    metrics().deliveries_overdue(overdue.unwrap_or_default());
    for (state, count) in waiting.counts {
        match state {
            DeliveryState::Pending => metrics().deliveries(Delivery::Pending, count),
            DeliveryState::Sending => metrics().deliveries(Delivery::Sending, count),
            DeliveryState::Retrying => metrics().deliveries(Delivery::Retrying, count),
            DeliveryState::Sent | DeliveryState::Failed | DeliveryState::Suppressed => {}
        }
    }
    true
}
