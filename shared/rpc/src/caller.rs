//! Who calls, as the handlers see it.

use carepost_audit::Occasion;
use carepost_identity::{Actor, OrganizationId, PersonId};
use carepost_proto::common::v1::ErrorReason;
use chrono::{DateTime, Utc};
use tonic::{Request, Status};

use crate::status;

/// An authenticated caller who may call this RPC for this organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The organization that the call is about.
    pub organization: OrganizationId,
    /// Who acts, and on whose behalf.
    pub actor: Actor,
    /// Until when the token is accepted: a call that lasts longer ends then.
    pub expires: DateTime<Utc>,
    /// The call, as the audit trail tells of it: handlers note what it is about.
    pub occasion: Occasion,
}

impl Caller {
    /// The caller of a request that came through the guard.
    ///
    /// # Errors
    /// PERMISSION_DENIED if it did not: an RPC that is not behind the guard can be called by nobody.
    pub fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        request.extensions().get::<Self>().cloned().ok_or_else(not_allowed)
    }

    /// The person who acts.
    ///
    /// # Errors
    /// PERMISSION_DENIED for a service on its own behalf.
    pub fn person(&self) -> Result<&PersonId, Status> {
        self.actor.person().ok_or_else(not_allowed)
    }
}

fn not_allowed() -> Status {
    status::refusal(ErrorReason::CallerNotAllowed, "this caller may not call this")
}
