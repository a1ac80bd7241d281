//! From the domain to the wire, and back.

use carepost_identity::PersonId;
use carepost_proto::notification::v1;
use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::domain::{Delivery, DeliveryState, SuppressionReason};

/// A delivery on the wire.
pub(super) fn delivery(delivery: Delivery) -> v1::Delivery {
    v1::Delivery {
        id: delivery.id.to_string(),
        message_id: delivery.message_id.to_string(),
        recipient: PersonId::Portal(delivery.recipient).to_string(),
        state: state(delivery.state).into(),
        attempt_count: delivery.attempt_count,
        unknown_outcome_count: delivery.unknown_outcome_count,
        last_code: delivery.last_answer.code().into(),
        last_answer: delivery.last_answer.text().to_owned(),
        suppression_reason: reason(delivery.suppression_reason).into(),
        create_time: Some(timestamp(delivery.created_at)),
        update_time: Some(timestamp(delivery.updated_at)),
        next_attempt_time: delivery.next_attempt_at.map(timestamp),
    }
}

/// The state that a filter asks for.
pub(super) fn state_filter(state: i32) -> Result<Option<DeliveryState>, &'static str> {
    match v1::DeliveryState::try_from(state) {
        Ok(v1::DeliveryState::Unspecified) => Ok(None),
        Ok(v1::DeliveryState::Pending) => Ok(Some(DeliveryState::Pending)),
        Ok(v1::DeliveryState::Sending) => Ok(Some(DeliveryState::Sending)),
        Ok(v1::DeliveryState::Sent) => Ok(Some(DeliveryState::Sent)),
        Ok(v1::DeliveryState::Retrying) => Ok(Some(DeliveryState::Retrying)),
        Ok(v1::DeliveryState::Failed) => Ok(Some(DeliveryState::Failed)),
        Ok(v1::DeliveryState::Suppressed) => Ok(Some(DeliveryState::Suppressed)),
        Err(_) => Err("must be a delivery state"),
    }
}

fn state(state: DeliveryState) -> v1::DeliveryState {
    match state {
        DeliveryState::Pending => v1::DeliveryState::Pending,
        DeliveryState::Sending => v1::DeliveryState::Sending,
        DeliveryState::Sent => v1::DeliveryState::Sent,
        DeliveryState::Retrying => v1::DeliveryState::Retrying,
        DeliveryState::Failed => v1::DeliveryState::Failed,
        DeliveryState::Suppressed => v1::DeliveryState::Suppressed,
    }
}

fn reason(reason: Option<SuppressionReason>) -> v1::SuppressionReason {
    match reason {
        None => v1::SuppressionReason::Unspecified,
        Some(SuppressionReason::UnknownPortalUser) => v1::SuppressionReason::UnknownPortalUser,
        Some(SuppressionReason::AccountNotActive) => v1::SuppressionReason::AccountNotActive,
    }
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: time.timestamp_subsec_nanos().try_into().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_found_by_its_own_filter() {
        for number in 1..=6 {
            let asked = state_filter(number).unwrap().unwrap();
            assert_eq!(i32::from(state(asked)), number);
        }
        assert_eq!(state_filter(0), Ok(None));
        assert!(state_filter(7).is_err() && state_filter(-1).is_err());
    }
}
