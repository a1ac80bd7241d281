//! How this service refuses.

use std::time::Duration;

use carepost_proto::common::v1::ErrorReason;
use carepost_rpc::status::{internal, refusal_with, retry_later, unavailable};
use carepost_runtime::DatabaseFault;
use tonic::Status;

use crate::{
    domain::{
        directory::{RecordKind, RefusalReason},
        version::{DeleteRefusal, Reference, WriteRefusal},
    },
    store::StoreError,
};

const RETRY: Duration = Duration::from_secs(1);
/// Imports take long.
const IMPORT_RETRY: Duration = Duration::from_secs(30);

/// The store did not do what it was asked.
pub(super) fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::Database(DatabaseFault::Unavailable)
        | StoreError::Contended
        | StoreError::Forgotten
        | StoreError::MoreThanPlanned => unavailable("database", RETRY),
        StoreError::Halted => stopping(),
        StoreError::Superseded => import_running(),
        error => internal(error),
    }
}

/// The process stops: another replica can do it.
pub(super) fn stopping() -> Status {
    unavailable("eligibility", RETRY)
}

/// A record was not let in.
pub(super) fn of_write(refusal: WriteRefusal) -> Status {
    let metadata = match refusal {
        WriteRefusal::Outdated(version) | WriteRefusal::Conflict(version) => {
            ("stored_version", version.emr.to_string())
        }
        WriteRefusal::ReferenceMissing(Reference::Organization) => ("missing", "organization".to_owned()),
        WriteRefusal::ReferenceMissing(Reference::Location) => ("missing", "location".to_owned()),
    };
    refusal_with(reason(of_refused_write(refusal)), &refusal.to_string(), &[metadata])
}

/// A record was not deleted.
pub(super) fn of_delete(refusal: DeleteRefusal) -> Status {
    match refusal {
        DeleteRefusal::NotAdmitted(refusal) => of_write(refusal),
        DeleteRefusal::StillReferred(kinds) => {
            let kinds: Vec<_> = kinds.into_iter().map(RecordKind::as_str).collect();
            let message = "stored records still refer to what was to be deleted";
            refusal_with(ErrorReason::StillReferred, message, &[("referrers", kinds.join(","))])
        }
    }
}

/// Another import of the organization is running.
pub(super) fn import_running() -> Status {
    retry_later(
        ErrorReason::ImportRunning,
        "another import of the organization is running",
        IMPORT_RETRY,
    )
}

/// The reason for which a record was not let in.
pub(super) fn of_refused_write(refusal: WriteRefusal) -> RefusalReason {
    match refusal {
        WriteRefusal::Outdated(_) => RefusalReason::Outdated,
        WriteRefusal::Conflict(_) => RefusalReason::Conflict,
        WriteRefusal::ReferenceMissing(_) => RefusalReason::ReferenceMissing,
    }
}

/// A reason on the wire.
pub(super) fn reason(reason: RefusalReason) -> ErrorReason {
    match reason {
        RefusalReason::Invalid => ErrorReason::InvalidRequest,
        RefusalReason::Duplicate => ErrorReason::DuplicateRecord,
        RefusalReason::ReferenceMissing => ErrorReason::ReferenceMissing,
        RefusalReason::Outdated => ErrorReason::VersionOutdated,
        RefusalReason::Conflict => ErrorReason::VersionConflict,
    }
}
