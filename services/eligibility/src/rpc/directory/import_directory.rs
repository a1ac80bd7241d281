//! `ImportDirectory`: many records in one stream, written in groups as they come.

use std::time::Duration;

use carepost_proto::{
    common::v1::ErrorReason,
    eligibility::v1::{ImportDirectoryRequest, ImportDirectoryResponse},
};
use carepost_rpc::{
    Caller, Violations,
    status::{deadline_exceeded, overloaded, refusal},
};
use prost::Message;
use tonic::{Status, Streaming};

use super::{Directory, status};
use crate::{
    domain::directory::{Intake, Item, Refusal, Tally, in_writing_order},
    rpc::convert,
    store::{StoreError, Verdict},
};

/// How long a client may take from one record to the next.
const IDLE: Duration = Duration::from_secs(30);
/// The most records of one stream. What is remembered of so many takes 70 MiB.
const MAX_RECORDS: usize = 3_500_000;
/// An import that writes so many records changes how the database should plan.
const LARGE: i64 = 1_000;
/// When to come back while others import.
const BUSY: Duration = Duration::from_secs(5);

pub(super) async fn handle(
    directory: &Directory,
    caller: &Caller,
    mut stream: Streaming<ImportDirectoryRequest>,
) -> Result<ImportDirectoryResponse, Status> {
    let _place = directory.imports.try_acquire().map_err(|_| overloaded(BUSY))?;
    let mut intake = Intake::default();
    let mut tally = Tally::default();
    let mut received = 0;
    while let Some(request) = next(directory, &mut stream).await? {
        received += 1;
        if received > MAX_RECORDS {
            return Err(too_many());
        }
        let bytes = request.encoded_len();
        if let Some(group) = intake.take(convert::item(&caller.organization, request), bytes) {
            write(directory, caller, group, &mut tally).await?;
        }
    }
    write(directory, caller, intake.rest(), &mut tally).await?;
    if tally.added + tally.changed >= LARGE
        && let Err(error) = directory.store.refresh_statistics().await
    {
        // The database will come to it by itself.
        tracing::warn!(%error, "the statistics of the directory could not be refreshed");
    }
    Ok(ImportDirectoryResponse {
        added: tally.added,
        changed: tally.changed,
        unchanged: tally.unchanged,
        refused: tally.refused,
        refusals: tally.refusals.into_iter().map(convert::import_refusal).collect(),
    })
}

async fn next(
    directory: &Directory,
    stream: &mut Streaming<ImportDirectoryRequest>,
) -> Result<Option<ImportDirectoryRequest>, Status> {
    tokio::select! {
        next = tokio::time::timeout(IDLE, stream.message()) => next.unwrap_or_else(|_| Err(deadline_exceeded())),
        () = directory.stopping.cancelled() => Err(status::stopping()),
    }
}

/// Writes a group, and counts what became of each item in the order of the stream.
async fn write(directory: &Directory, caller: &Caller, group: Vec<Item>, tally: &mut Tally) -> Result<(), Status> {
    let mut verdicts = verdicts(directory, caller, &group)
        .await
        .map_err(|error| status::of_store(&error))?;
    verdicts.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    for (place, item) in group.into_iter().enumerate() {
        let outcome = match (item.entry, verdicts.pop_if(|(of, _)| *of == place)) {
            (Ok(_), Some((_, verdict))) => verdict.map(|written| written.change).map_err(|refused| Refusal {
                reason: status::of_refused_write(refused),
                message: refused.to_string(),
            }),
            (Err(refusal), _) => Err(refusal),
            (Ok(_), None) => return Err(carepost_rpc::status::internal(&super::NoVerdict)),
        };
        tally.count(item.kind, item.id, outcome);
    }
    Ok(())
}

/// The verdicts, each with its item's place in the group.
async fn verdicts(directory: &Directory, caller: &Caller, group: &[Item]) -> Result<Vec<(usize, Verdict)>, StoreError> {
    let (places, entries): (Vec<_>, Vec<_>) = in_writing_order(group).into_iter().unzip();
    if entries.is_empty() {
        return Ok(Vec::new());
    }
    let verdicts = directory.store.write_entries(directory.write(caller), &entries).await?;
    Ok(places.into_iter().zip(verdicts).collect())
}

fn too_many() -> Status {
    let mut violations = Violations::default();
    violations.add("record", format!("must come at most {MAX_RECORDS} times in one stream"));
    let refused = violations.finish::<()>(None);
    refused
        .err()
        .unwrap_or_else(|| refusal(ErrorReason::InvalidRequest, "too many records"))
}
