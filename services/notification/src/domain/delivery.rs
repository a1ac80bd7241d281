//! A delivery: one email to one recipient about one message.

use carepost_identity::PortalUserId;
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
    /// The mail server refused it for good, or it could not be sent in time. Final.
    Failed,
    /// Nothing was to be sent. Final.
    Suppressed,
}

/// Why nothing was sent (N4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SuppressionReason {
    /// The portal user is not in the directory.
    UnknownPortalUser,
    /// The portal account is not active.
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
    pub recipient: PortalUserId,
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
}
