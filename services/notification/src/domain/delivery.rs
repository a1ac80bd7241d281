//! A delivery: one email to one recipient about one message, and the attempts at it.

use carepost_identity::PersonId;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::Answer;

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryState {
    /// Recorded, not tried yet.
    Pending,
    /// Being tried now, or its process died while it tried.
    Sending,
    /// The mail server accepted it, or it was written into the folder. Final.
    Sent,
    /// An attempt failed for a while, or ended without an answer; it will be tried again.
    Retrying,
    /// The mail server refused it for good, or it could not be sent in time. Final, unless an operator retries it.
    Failed,
    /// Nothing was to be sent. Final, unless an operator retries it.
    Suppressed,
}

/// Why nothing was sent (N4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressionReason {
    /// The portal user is not in the directory.
    UnknownPortalUser,
    /// The member of staff is not in the directory.
    UnknownStaff,
    /// The account is not active.
    AccountNotActive,
}

/// A delivery as it is shown: without an address, which is never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Made of the event and the recipient, see [`super::NewDelivery`].
    pub id: Uuid,
    /// The message that it is about.
    pub message_id: Uuid,
    /// To whom.
    pub recipient: PersonId,
    /// Where it stands.
    pub state: DeliveryState,
    /// How many attempts were begun.
    pub attempt_count: i32,
    /// How many of them ended without a known outcome: each may have been an email of its own.
    pub unknown_outcome_count: i32,
    /// The last answer of the mail server, or what went wrong.
    pub last_answer: Answer,
    /// Set when suppressed.
    pub suppression_reason: Option<SuppressionReason>,
    /// When its event was recorded.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it is due, or, while it is being sent, when it would be tried again; none in a final state.
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// When an operator last made it begin anew.
    pub retried_at: Option<DateTime<Utc>>,
}

/// How an attempt stands in the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// It is being made, or its process died and nobody has taken it over yet.
    UnderWay,
    /// The mail server took the email, or it was written into the folder.
    Accepted,
    /// It will never be taken.
    Refused,
    /// It was certainly not taken, and may be later.
    Postponed,
    /// Nobody can know whether it was taken.
    Unknown,
    /// Nothing was to be sent.
    Suppressed,
}

/// An attempt as the ledger keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptRecord {
    /// 1 for the first.
    pub number: i32,
    /// How it ended.
    pub outcome: AttemptOutcome,
    /// When it began.
    pub begun_at: DateTime<Utc>,
    /// When its end was recorded; none while it is under way, and if its process died.
    pub ended_at: Option<DateTime<Utc>>,
    /// What the mail server answered, or what went wrong.
    pub answer: Answer,
}

/// What an operator's retry does to a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// It begins anew: it is due at once, and has its whole time again.
    Anew,
    /// It is due at once, and is otherwise as it was.
    Now,
    /// Nothing: it is being tried.
    Leave,
    /// It is refused: the email was sent.
    Refuse,
}

/// What a retry does to a delivery in this state.
#[must_use]
pub fn retry(state: DeliveryState) -> Retry {
    match state {
        DeliveryState::Failed | DeliveryState::Suppressed => Retry::Anew,
        DeliveryState::Pending | DeliveryState::Retrying => Retry::Now,
        DeliveryState::Sending => Retry::Leave,
        DeliveryState::Sent => Retry::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn n5_what_was_sent_is_never_retried() {
        assert_eq!(retry(DeliveryState::Sent), Retry::Refuse);
        assert_eq!(retry(DeliveryState::Sending), Retry::Leave);
        for state in [DeliveryState::Failed, DeliveryState::Suppressed] {
            assert_eq!(retry(state), Retry::Anew);
        }
        for state in [DeliveryState::Pending, DeliveryState::Retrying] {
            assert_eq!(retry(state), Retry::Now);
        }
    }
}
