//! `ImportDirectory`: many records in one stream, written in groups as they come; and, if they are the whole directory, what it
//! no longer has taken away.

use std::{sync::Arc, time::Duration};

use carepost_proto::eligibility::v1::{
    ImportDirectoryRequest, ImportDirectoryResponse, import_directory_request::Record as Sent,
};
use carepost_rpc::{
    Caller,
    status::{deadline_exceeded, internal, overloaded},
};
use chrono::TimeDelta;
use prost::Message;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::Instrument;

use super::{
    Directory,
    import_answer::{answer, malformed, must_be_complete, must_be_small},
    status,
};
use crate::{
    domain::directory::{ImportOptions, Intake, Item, Refusal, RefusalReason, Removals, Tally},
    rpc::convert,
    store::{Fate, ImportRun, Purpose, StoreError},
};

/// The most records of one stream.
const MAX_RECORDS: i64 = 20_000_000;
/// An import that writes so many records changes how the database should plan.
const LARGE: i64 = 1_000;
/// When to come back while others import.
const BUSY: Duration = Duration::from_secs(5);
/// How long a group takes at most to be written, and more: the lease of an import lasts so much longer than its client may be
/// silent.
const GROUP: Duration = Duration::from_secs(60);

pub(super) async fn handle(
    directory: &Directory,
    caller: &Caller,
    stream: Streaming<ImportDirectoryRequest>,
) -> Result<ImportDirectoryResponse, Status> {
    let place = Arc::clone(&directory.imports).try_acquire_owned();
    let place = place.map_err(|_| overloaded(BUSY))?;
    let halt = directory.stopping.child_token();
    let mut import = Import {
        directory: directory.clone(),
        caller: caller.clone(),
        stream,
        halt: halt.clone(),
        written_at: Instant::now(),
        tally: Tally::default(),
    };
    // A task of its own: whatever becomes of the call, the import ends in good order and gives its lease back.
    let _call_ended = halt.clone().drop_guard();
    let running = async move {
        let answer = import.run().await;
        drop(place);
        answer
    };
    let mut running = tokio::spawn(running.in_current_span());
    let ended = match tokio::time::timeout(directory.import_limits.longest, &mut running).await {
        Ok(ended) => ended,
        Err(_) => {
            halt.cancel();
            running.await
        }
    };
    ended.unwrap_or_else(|error| Err(internal(&error)))
}

struct Import {
    directory: Directory,
    caller: Caller,
    stream: Streaming<ImportDirectoryRequest>,
    /// Cancelled when the process stops, the call is given up, or its time is over.
    halt: CancellationToken,
    /// When a group was last written, and with it the lease renewed.
    written_at: Instant,
    tally: Tally,
}

impl Import {
    async fn run(&mut self) -> Result<ImportDirectoryResponse, Status> {
        let mut first = self.next().await?;
        let sent = first.as_ref().and_then(|request| request.record.as_ref());
        let options = if let Some(Sent::Options(options)) = sent {
            let options = convert::import_options(*options);
            self.tally.first = 1;
            first = self.next().await?;
            options
        } else {
            ImportOptions::default()
        };
        let mut run = self.begin(options).await?;
        let answer = match self
            .directory
            .store
            .record_begin(self.directory.write(&self.caller))
            .await
        {
            Ok(()) => self.import(&mut run, first, options).await,
            Err(error) => Err(status::of_store(&error)),
        };
        let store = &self.directory.store;
        if let Err(error) = store.end_import(&run).await {
            // The lease ends by itself.
            tracing::warn!(%error, "an import could not give back its lease");
        }
        answer
    }

    async fn begin(&self, options: ImportOptions) -> Result<ImportRun, Status> {
        let Directory { store, ids, clock, .. } = &self.directory;
        let purpose = if options.validate_only {
            Purpose::Plan
        } else {
            Purpose::Write
        };
        let lease = 2 * self.directory.import_limits.idle + GROUP;
        let lease = TimeDelta::from_std(lease).unwrap_or(TimeDelta::MAX);
        let (organization, holder) = (&self.caller.organization, ids.next(clock.now()));
        let begun = store.begin_import(organization, holder, purpose, lease, self.halt.clone());
        let begun = begun.await.map_err(|error| status::of_store(&error))?;
        begun.ok_or_else(status::import_running)
    }

    async fn import(
        &mut self,
        run: &mut ImportRun,
        first: Option<ImportDirectoryRequest>,
        options: ImportOptions,
    ) -> Result<ImportDirectoryResponse, Status> {
        let mut removals = Removals::default();
        if options.reconcile {
            let counted = self.directory.store.count_removable(run).await;
            removals = counted.map_err(|error| status::of_store(&error))?;
        }
        let trailer = self.write_all(run, first).await?;
        must_be_complete(&self.tally, trailer, options)?;
        self.refresh_statistics(options).await;
        if options.reconcile {
            removals = self.reconcile(run, removals, options).await?;
        }
        Ok(answer(std::mem::take(&mut self.tally), removals, options))
    }

    /// Writes what the stream holds, and gives what its trailer counts, if it has one.
    async fn write_all(
        &mut self,
        run: &mut ImportRun,
        first: Option<ImportDirectoryRequest>,
    ) -> Result<Option<i64>, Status> {
        let mut intake = Intake::default();
        let mut received = 0;
        let mut trailer = None;
        let mut next = first;
        while let Some(request) = next {
            match &request.record {
                Some(Sent::Options(_)) => return Err(malformed("options", "may only be the first request")),
                _ if trailer.is_some() => return Err(malformed("trailer", "may only be the last request")),
                Some(Sent::Trailer(sent)) => trailer = Some(sent.record_count),
                _ if received == MAX_RECORDS => return Err(too_many()),
                _ => {
                    received += 1;
                    let bytes = request.encoded_len();
                    let item = convert::item(&self.caller.organization, request);
                    if let Some(group) = intake.take(item, bytes) {
                        self.write(run, group).await?;
                    }
                    // A slow client fills no group before the lease ends.
                    if self.written_at.elapsed() > self.directory.import_limits.idle {
                        self.write(run, intake.rest()).await?;
                    }
                }
            }
            next = self.next().await?;
        }
        self.write(run, intake.rest()).await?;
        Ok(trailer)
    }

    async fn next(&mut self) -> Result<Option<ImportDirectoryRequest>, Status> {
        let idle = self.directory.import_limits.idle;
        tokio::select! {
            // Also while records come without a pause.
            biased;
            () = self.halt.cancelled() => Err(self.halted()),
            next = tokio::time::timeout(idle, self.stream.message()) => {
                next.unwrap_or_else(|_| Err(deadline_exceeded()))
            }
        }
    }

    fn halted(&self) -> Status {
        if self.directory.stopping.is_cancelled() {
            status::stopping()
        } else {
            deadline_exceeded()
        }
    }

    fn failed(&self, error: &StoreError) -> Status {
        match error {
            StoreError::Halted => self.halted(),
            error => status::of_store(error),
        }
    }

    /// Writes a group, and counts what became of each item in the order of the stream.
    async fn write(&mut self, run: &mut ImportRun, group: Vec<Item>) -> Result<(), Status> {
        self.written_at = Instant::now();
        if group.is_empty() {
            return Ok(());
        }
        let write = self.directory.write(&self.caller);
        let fates = self.directory.store.import_group(write, run, &group).await;
        let fates = fates.map_err(|error| status::of_store(&error))?;
        for (item, fate) in group.into_iter().zip(fates) {
            if matches!(fate, Fate::Decided(Ok(written)) if written.restored) {
                self.tally.note_restored(&item);
            }
            let outcome = match (fate, &item.entry) {
                (Fate::Duplicate, _) => Err(Refusal {
                    reason: RefusalReason::Duplicate,
                    message: "the same record came earlier in the stream".to_owned(),
                }),
                (Fate::Decided(Ok(written)), _) => Ok(written.change),
                (Fate::Decided(Err(refused)), _) => Err(Refusal {
                    reason: status::of_refused_write(refused),
                    message: refused.to_string(),
                }),
                (Fate::Unreadable, Err(refusal)) => Err(refusal.clone()),
                (Fate::Unreadable, Ok(_)) => return Err(internal(&super::NoVerdict)),
            };
            self.tally.count(item, outcome);
        }
        Ok(())
    }

    async fn refresh_statistics(&self, options: ImportOptions) {
        let written = self.tally.added + self.tally.changed;
        let matter = if options.reconcile {
            self.tally.records()
        } else {
            written
        };
        if matter >= LARGE
            && let Err(error) = self.directory.store.refresh_statistics().await
        {
            // The database will come to it by itself.
            tracing::warn!(%error, "the statistics of the directory could not be refreshed");
        }
    }

    /// Takes away what the stream did not hold; or only counts it.
    async fn reconcile(&self, run: &ImportRun, stored: Removals, options: ImportOptions) -> Result<Removals, Status> {
        let store = &self.directory.store;
        let planned = store
            .plan_removals(self.directory.write(&self.caller), run, stored.clone())
            .await
            .map_err(|error| self.failed(&error))?;
        if options.validate_only {
            return Ok(planned);
        }
        if !options.allow_large_removal {
            must_be_small(&planned, &self.tally, options)?;
        }
        let write = self.directory.write(&self.caller);
        let removed = store.remove(write, run, stored, &planned).await;
        removed.map_err(|error| self.failed(&error))
    }
}

fn too_many() -> Status {
    malformed(
        "record",
        &format!("must come at most {MAX_RECORDS} times in one stream"),
    )
}
