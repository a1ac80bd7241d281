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
        restored: tally.restored,
        restored_records: tally
            .restored_records
            .into_iter()
            .map(convert::restored_record)
            .collect(),
    }
}

/// Whether the stream was what it was to be.
///
/// # Errors
/// If its trailer is wrong, or, where it was to be the whole directory, missing, or a record has no id.
pub(super) fn must_be_complete(tally: &Tally, trailer: Option<i64>, options: ImportOptions) -> Result<(), Status> {
    let received = tally.records();
    let incomplete = |what: &str, index: Option<i64>| {
        let mut metadata = vec![("received", received.to_string())];
        metadata.extend(index.map(|index| ("index", index.to_string())));
        metadata.extend(counts(tally));
        let message = format!("{what}, so nothing was taken away{}", written(tally, options));
        Err(refusal_with(ErrorReason::ImportIncomplete, &message, &metadata))
    };
    match trailer {
        Some(count) if count != received => incomplete("the trailer counts other than what came", None),
        None if options.reconcile => incomplete("the stream has no trailer", None),
        _ => match tally.nameless.filter(|_| options.reconcile) {
            None => Ok(()),
            index => incomplete("a record has no id that can be read", index),
        },
    }
}

/// What had become of the records by then, for programs.
fn counts(tally: &Tally) -> [(&'static str, String); 4] {
    [
        ("added", tally.added),
        ("changed", tally.changed),
        ("unchanged", tally.unchanged),
        ("refused", tally.refused),
    ]
    .map(|(name, count)| (name, count.to_string()))
}

/// The same for people, who would take a refusal for one of everything.
fn written(tally: &Tally, options: ImportOptions) -> String {
    if options.validate_only {
        return String::new();
    }
    let Tally { added, changed, .. } = tally;
    format!("; what the stream held is written: {added} added, {changed} changed")
}

/// Whether not too much of any kind goes.
///
/// # Errors
/// If it does.
pub(super) fn must_be_small(removals: &Removals, tally: &Tally, options: ImportOptions) -> Result<(), Status> {
    let Some((kind, removal)) = removals.kinds().find(|(_, removal)| removal.is_large()) else {
        return Ok(());
    };
    let mut metadata = vec![
        ("kind", kind.as_str().to_owned()),
        ("removed", removal.removed.to_string()),
        ("stored", removal.stored.to_string()),
    ];
    metadata.extend(counts(tally));
    let message = format!(
        "more than 10 % of a kind of record would be taken away, so nothing was{}",
        written(tally, options)
    );
    Err(refusal_with(ErrorReason::RemovalTooLarge, &message, &metadata))
}

/// A stream that is not made as it must be.
pub(super) fn malformed(field: &str, what: &str) -> Status {
    let mut violations = Violations::default();
    violations.add(field, what);
    invalid_fields(violations.into_inner())
}
