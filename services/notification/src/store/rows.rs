//! Between rows and the domain.

use carepost_identity::{ChartId, OrganizationId, PersonId, PortalUserId};

use super::{Claimed, StoreError, entity::delivery};
use crate::domain::{Answer, Delivery, DeliveryState, SuppressionReason};

const STATES: [(&str, DeliveryState); 6] = [
    ("pending", DeliveryState::Pending),
    ("sending", DeliveryState::Sending),
    ("sent", DeliveryState::Sent),
    ("retrying", DeliveryState::Retrying),
    ("failed", DeliveryState::Failed),
    ("suppressed", DeliveryState::Suppressed),
];

const REASONS: [(&str, SuppressionReason); 2] = [
    ("unknown_portal_user", SuppressionReason::UnknownPortalUser),
    ("account_not_active", SuppressionReason::AccountNotActive),
];

/// How a state is stored.
pub(super) fn state_text(state: DeliveryState) -> &'static str {
    STATES
        .iter()
        .find(|(_, known)| *known == state)
        .map_or("", |(text, _)| text)
}

/// How a reason is stored.
pub(super) fn reason_text(reason: SuppressionReason) -> &'static str {
    REASONS
        .iter()
        .find(|(_, known)| *known == reason)
        .map_or("", |(text, _)| text)
}

/// How a recipient is stored.
pub(super) fn recipient_text(recipient: &PortalUserId) -> String {
    PersonId::Portal(recipient.clone()).to_string()
}

pub(super) fn delivery(row: delivery::Model) -> Result<Delivery, StoreError> {
    let reason = row
        .suppression_reason
        .as_deref()
        .map(|text| known(&REASONS, text, "suppression reason"));
    let code = u16::try_from(row.last_code).map_err(|_| StoreError::Corrupt("code"))?;
    Ok(Delivery {
        id: row.id,
        message_id: row.message_id,
        recipient: recipient(&row.recipient)?,
        state: known(&STATES, &row.state, "state")?,
        attempt_count: row.attempt_count,
        unknown_outcome_count: row.unknown_outcome_count,
        last_answer: Answer::new(code, &row.last_answer),
        suppression_reason: reason.transpose()?,
        created_at: row.created_at,
        updated_at: row.updated_at,
        next_attempt_at: row.next_attempt_at,
    })
}

pub(super) fn claimed(row: delivery::Model) -> Result<Claimed, StoreError> {
    let chart = row.chart_id.map(ChartId::parse).transpose();
    Ok(Claimed {
        organization: OrganizationId::parse(row.organization).map_err(|_| StoreError::Corrupt("organization"))?,
        id: row.id,
        chart: chart.map_err(|_| StoreError::Corrupt("chart"))?,
        recipient: recipient(&row.recipient)?,
        attempt_count: row.attempt_count,
        traceparent: row.traceparent,
        created_at: row.created_at,
        claim: row.claim.ok_or(StoreError::Corrupt("claim"))?,
    })
}

fn recipient(text: &str) -> Result<PortalUserId, StoreError> {
    match PersonId::parse(text) {
        Ok(PersonId::Portal(id)) => Ok(id),
        _ => Err(StoreError::Corrupt("recipient")),
    }
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
        assert!(matches!(
            known(&STATES, "lost", "state"),
            Err(StoreError::Corrupt("state"))
        ));
    }
}
