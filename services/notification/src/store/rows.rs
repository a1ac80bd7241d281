//! Between rows and the domain.

use carepost_identity::{ChartId, OrganizationId, PersonId};

use super::{
    Claimed, StoreError,
    entity::{attempt, delivery},
};
use crate::domain::{Answer, AttemptOutcome, AttemptRecord, Delivery, DeliveryState, SuppressionReason};

const STATES: [(&str, DeliveryState); 6] = [
    ("pending", DeliveryState::Pending),
    ("sending", DeliveryState::Sending),
    ("sent", DeliveryState::Sent),
    ("retrying", DeliveryState::Retrying),
    ("failed", DeliveryState::Failed),
    ("suppressed", DeliveryState::Suppressed),
];

const REASONS: [(&str, SuppressionReason); 3] = [
    ("unknown_portal_user", SuppressionReason::UnknownPortalUser),
    ("unknown_staff", SuppressionReason::UnknownStaff),
    ("account_not_active", SuppressionReason::AccountNotActive),
];

/// What is stored of an attempt once it has ended.
const OUTCOMES: [(&str, AttemptOutcome); 5] = [
    ("accepted", AttemptOutcome::Accepted),
    ("refused", AttemptOutcome::Refused),
    ("postponed", AttemptOutcome::Postponed),
    ("unknown", AttemptOutcome::Unknown),
    ("suppressed", AttemptOutcome::Suppressed),
];

/// What is told of an attempt whose process died.
pub(super) const DIED: &str = "the attempt did not end: its process died";

/// How a state is stored.
pub(super) fn state_text(state: DeliveryState) -> &'static str {
    text(&STATES, state).unwrap_or_default()
}

/// How a reason is stored.
pub(super) fn reason_text(reason: SuppressionReason) -> &'static str {
    text(&REASONS, reason).unwrap_or_default()
}

/// How an outcome is stored; none for one that is still under way.
pub(super) fn outcome_text(outcome: AttemptOutcome) -> Option<&'static str> {
    text(&OUTCOMES, outcome)
}

/// The state of a delivery.
pub(super) fn state(row: &delivery::Model) -> Result<DeliveryState, StoreError> {
    known(&STATES, &row.state, "state")
}

pub(super) fn delivery(row: delivery::Model) -> Result<Delivery, StoreError> {
    let reason = row
        .suppression_reason
        .as_deref()
        .map(|text| known(&REASONS, text, "suppression reason"));
    Ok(Delivery {
        id: row.id,
        message_id: row.message_id,
        recipient: recipient(&row.recipient)?,
        state: state(&row)?,
        attempt_count: row.attempt_count,
        unknown_outcome_count: row.unknown_outcome_count,
        last_answer: answer(row.last_code, &row.last_answer)?,
        suppression_reason: reason.transpose()?,
        created_at: row.created_at,
        updated_at: row.updated_at,
        next_attempt_at: row.next_attempt_at,
        retried_at: row.retried_at,
    })
}

/// An attempt at this delivery.
pub(super) fn attempt(row: &attempt::Model, of: &Delivery) -> Result<AttemptRecord, StoreError> {
    let under_way = of.state == DeliveryState::Sending && row.number == of.attempt_count;
    let (outcome, told) = match row.outcome.as_deref() {
        Some(text) => (known(&OUTCOMES, text, "outcome")?, row.answer.as_str()),
        None if under_way => (AttemptOutcome::UnderWay, ""),
        // Somebody took it over when its lease ended, and counted it: an earlier version, that did not record it.
        None => (AttemptOutcome::Unknown, DIED),
    };
    Ok(AttemptRecord {
        number: row.number,
        outcome,
        begun_at: row.begun_at,
        ended_at: row.ended_at,
        answer: answer(row.code, told)?,
    })
}

pub(super) fn claimed(row: delivery::Model, took_over: bool) -> Result<Claimed, StoreError> {
    let chart = row.chart_id.map(ChartId::parse).transpose();
    Ok(Claimed {
        organization: OrganizationId::parse(row.organization).map_err(|_| StoreError::Corrupt("organization"))?,
        id: row.id,
        chart: chart.map_err(|_| StoreError::Corrupt("chart"))?,
        recipient: recipient(&row.recipient)?,
        attempt_count: row.attempt_count,
        traceparent: row.traceparent,
        started_at: row.retried_at.unwrap_or(row.created_at),
        attempts_since_start: row.attempt_count.saturating_sub(row.attempts_before_retry),
        unknown_since_start: row.unknown_outcome_count.saturating_sub(row.unknown_before_retry),
        took_over,
        claim: row.claim.ok_or(StoreError::Corrupt("claim"))?,
    })
}

fn recipient(text: &str) -> Result<PersonId, StoreError> {
    PersonId::parse(text).map_err(|_| StoreError::Corrupt("recipient"))
}

fn answer(code: i32, text: &str) -> Result<Answer, StoreError> {
    let code = u16::try_from(code).map_err(|_| StoreError::Corrupt("code"))?;
    Ok(Answer::new(code, text))
}

fn text<T: Copy + PartialEq>(names: &[(&'static str, T)], value: T) -> Option<&'static str> {
    names.iter().find(|(_, known)| *known == value).map(|(text, _)| *text)
}

fn known<T: Copy>(names: &[(&str, T)], text: &str, what: &'static str) -> Result<T, StoreError> {
    let found = names.iter().find(|(name, _)| *name == text);
    found.map(|(_, value)| *value).ok_or(StoreError::Corrupt(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_reason_is_read_as_it_was_written() {
        for (text, state) in STATES {
            assert_eq!(
                (state_text(state), known(&STATES, text, "state").unwrap()),
                (text, state)
            );
        }
        for (text, reason) in REASONS {
            assert_eq!(
                (reason_text(reason), known(&REASONS, text, "reason").unwrap()),
                (text, reason)
            );
        }
        for (text, outcome) in OUTCOMES {
            assert_eq!(
                (outcome_text(outcome), known(&OUTCOMES, text, "outcome").unwrap()),
                (Some(text), outcome)
            );
        }
        assert_eq!(outcome_text(AttemptOutcome::UnderWay), None);
        assert!(matches!(
            known(&STATES, "lost", "state"),
            Err(StoreError::Corrupt("state"))
        ));
    }
}
