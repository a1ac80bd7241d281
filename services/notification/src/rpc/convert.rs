//! From the domain to the wire, and back.

use carepost_proto::notification::v1;
use chrono::{DateTime, Datelike, Utc};
use prost_types::Timestamp;

use crate::domain::{AttemptOutcome, AttemptRecord, Delivery, DeliveryState, SuppressionReason};

/// A delivery on the wire.
pub(super) fn delivery(delivery: Delivery) -> v1::Delivery {
    v1::Delivery {
        id: delivery.id.to_string(),
        message_id: delivery.message_id.to_string(),
        recipient: delivery.recipient.to_string(),
        state: state(delivery.state).into(),
        attempt_count: delivery.attempt_count,
        unknown_outcome_count: delivery.unknown_outcome_count,
        last_code: delivery.last_answer.code().into(),
        last_answer: delivery.last_answer.text().to_owned(),
        suppression_reason: reason(delivery.suppression_reason).into(),
        create_time: Some(timestamp(delivery.created_at)),
        update_time: Some(timestamp(delivery.updated_at)),
        next_attempt_time: delivery.next_attempt_at.map(timestamp),
        retry_time: delivery.retried_at.map(timestamp),
    }
}

/// An attempt on the wire.
pub(super) fn attempt(attempt: AttemptRecord) -> v1::Attempt {
    v1::Attempt {
        number: attempt.number,
        outcome: outcome(attempt.outcome).into(),
        begin_time: Some(timestamp(attempt.begun_at)),
        end_time: attempt.ended_at.map(timestamp),
        code: attempt.answer.code().into(),
        answer: attempt.answer.text().to_owned(),
    }
}

/// A time that a filter names.
pub(super) fn time(timestamp: Timestamp) -> Result<DateTime<Utc>, &'static str> {
    let nanos = u32::try_from(timestamp.nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000);
    let time = nanos.and_then(|nanos| DateTime::from_timestamp(timestamp.seconds, nanos / 1_000 * 1_000));
    // The years that a Timestamp has; both databases know them too.
    let is_told = |time: &DateTime<Utc>| (1..=9_999).contains(&time.year());
    time.filter(is_told).ok_or("must be a time")
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
        Some(SuppressionReason::UnknownStaff) => v1::SuppressionReason::UnknownStaff,
        Some(SuppressionReason::UnknownPortalUser) => v1::SuppressionReason::UnknownPortalUser,
        Some(SuppressionReason::AccountNotActive) => v1::SuppressionReason::AccountNotActive,
    }
}

fn outcome(outcome: AttemptOutcome) -> v1::AttemptOutcome {
    match outcome {
        AttemptOutcome::UnderWay => v1::AttemptOutcome::UnderWay,
        AttemptOutcome::Accepted => v1::AttemptOutcome::Accepted,
        AttemptOutcome::Refused => v1::AttemptOutcome::Refused,
        AttemptOutcome::Postponed => v1::AttemptOutcome::Postponed,
        AttemptOutcome::Unknown => v1::AttemptOutcome::Unknown,
        AttemptOutcome::Suppressed => v1::AttemptOutcome::Suppressed,
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

    #[test]
    fn a_time_is_one_that_there_is() {
        let given = |seconds, nanos| time(Timestamp { seconds, nanos });
        assert_eq!(given(1, 1_999), Ok(DateTime::from_timestamp(1, 1_000).unwrap()));
        for (seconds, nanos) in [
            (0, -1),
            (0, 1_000_000_000),
            (i64::MAX, 0),
            (253_402_300_800, 0),
            (-62_135_596_801, 0),
        ] {
            assert!(given(seconds, nanos).is_err(), "{seconds} {nanos}");
        }
    }
}
