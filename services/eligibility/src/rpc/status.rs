//! How this service refuses.

use std::time::Duration;

use carepost_proto::common::v1::ErrorReason;
use carepost_rpc::status::{internal, refusal_with, unavailable};
use carepost_runtime::DatabaseFault;
use tonic::Status;

use crate::{
    domain::{
        directory::RefusalReason,
        version::{Reference, WriteRefusal},
    },
    store::StoreError,
};

const RETRY: Duration = Duration::from_secs(1);

/// The store did not do what it was asked.
pub(super) fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::Database(DatabaseFault::Unavailable) | StoreError::Contended => unavailable("database", RETRY),
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
