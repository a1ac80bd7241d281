//! How an import ends: what is told of it, or why a reconciliation took nothing away.

use carepost_proto::{common::v1::ErrorReason, eligibility::v1::ImportDirectoryResponse};
use carepost_rpc::{
    Violations,
    status::{invalid_fields, refusal_with},
};
use tonic::Status;

use crate::{
    domain::directory::{ImportOptions, Removals, Tally},
    rpc::convert,
};

/// The answer.
pub(super) fn answer(tally: Tally, removals: Removals, options: ImportOptions) -> ImportDirectoryResponse {
    ImportDirectoryResponse {
        added: tally.added,
        changed: tally.changed,
        unchanged: tally.unchanged,
        refused: tally.refused,
        refusals: tally.refusals.into_iter().map(convert::import_refusal).collect(),
        removals: removals.kinds().map(convert::removal).collect(),
        removed_records: removals.into_records().map(convert::removed_record).collect(),
        validate_only: options.validate_only,
    }
}

/// Whether the stream was what it was to be.
///
/// # Errors
/// If its trailer is wrong, or, where it was to be the whole directory, missing, or a record has no id.
pub(super) fn must_be_complete(tally: &Tally, trailer: Option<i64>, options: ImportOptions) -> Result<(), Status> {
    let received = tally.records();
    match trailer {
        Some(count) if count != received => Err(incomplete(received, &[], "the trailer counts other than what came")),
        None if options.reconcile => Err(incomplete(received, &[], "the stream has no trailer")),
        _ => match tally.nameless.filter(|_| options.reconcile) {
            None => Ok(()),
            Some(index) => Err(incomplete(
                received,
                &[("index", index.to_string())],
                "a record has no id that can be read, so nothing was taken away",
            )),
        },
    }
}

fn incomplete(received: i64, more: &[(&str, String)], message: &str) -> Status {
    let mut metadata = vec![("received", received.to_string())];
    metadata.extend_from_slice(more);
    refusal_with(ErrorReason::ImportIncomplete, message, &metadata)
}

/// Whether not too much of any kind goes.
///
/// # Errors
/// If it does.
pub(super) fn must_be_small(removals: &Removals) -> Result<(), Status> {
    let Some((kind, removal)) = removals.kinds().find(|(_, removal)| removal.is_large()) else {
        return Ok(());
    };
    let metadata = [
        ("kind", kind.as_str().to_owned()),
        ("removed", removal.removed.to_string()),
        ("stored", removal.stored.to_string()),
    ];
    let message = "more than 10 % of a kind of record would be taken away, so nothing was";
    Err(refusal_with(ErrorReason::RemovalTooLarge, message, &metadata))
}

/// A stream that is not made as it must be.
pub(super) fn malformed(field: &str, what: &str) -> Status {
    let mut violations = Violations::default();
    violations.add(field, what);
    invalid_fields(violations.into_inner())
}
