//! How this service refuses.

use std::time::Duration;

use carepost_proto::common::v1::ErrorReason;
use carepost_rpc::{
    peer::PeerError,
    status::{internal, not_eligible, refusal, refusal_with, unavailable},
};
use carepost_runtime::DatabaseFault;
use tonic::Status;
use tonic_types::PreconditionViolation;

use crate::{domain::Denial, eligibility::NoDecision, store::StoreError};

const RETRY: Duration = Duration::from_secs(1);

/// The store did not do what it was asked.
pub(super) fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::Database(DatabaseFault::Unavailable) => unavailable("database", RETRY),
        // Whoever can lose this race rereads first; to lose it twice means that the row came and went.
        StoreError::KnownRequest => unavailable("database", RETRY),
        StoreError::NewerMessage(last) => refusal_with(
            ErrorReason::NewerMessage,
            "a newer message came than the one that was last seen",
            &[("last_sequence", last.to_string())],
        ),
        error => internal(error),
    }
}

/// There is no decision. A well-formed question is not refused: our token or its configuration is at fault, or the answer is.
pub(super) fn of_no_decision(error: &NoDecision) -> Status {
    match error {
        NoDecision::Peer(error) => of_peer(error),
        NoDecision::Answer => {
            tracing::error!(%error, "eligibility refuses to answer");
            unavailable("eligibility", RETRY)
        }
    }
}

/// Eligibility gave no answer.
pub(super) fn of_peer(error: &PeerError) -> Status {
    if let PeerError::Refused(..) = error {
        tracing::error!(%error, "eligibility refuses to answer");
    }
    unavailable("eligibility", RETRY)
}

/// The sender may not write now.
pub(super) fn of_denials(denials: Vec<Denial>) -> Status {
    let violations = denials.into_iter().map(|denial| {
        let name = denial.reason.as_str_name().trim_start_matches("ELIGIBILITY_REASON_");
        let subject = denial.party.map(|party| party.to_string()).unwrap_or_default();
        PreconditionViolation::new(name, subject, denial.remedy)
    });
    not_eligible(violations.collect())
}

/// The request id was used for another content.
pub(super) fn reused() -> Status {
    refusal(
        ErrorReason::RequestIdReused,
        "the request_id was used for a request with other content",
    )
}
