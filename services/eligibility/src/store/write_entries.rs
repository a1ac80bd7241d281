//! Writes entries of the directory, all in one transaction: one of a Put, a group of an import.

use carepost_runtime::database::begin;
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend};

use super::{Store, StoreError, Write, changed::Changes, import_run, write_records, write_seeds};
use crate::domain::{
    directory::{Entry, Incoming, RecordKind, Seed},
    version::{Change, WriteRefusal, Written},
};

/// What became of one entry.
pub type Verdict = Result<Written, WriteRefusal>;

/// Whether entries are written, or only compared with what is stored, and with what the running import would have written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// They are written.
    Write,
    /// Nothing is written.
    Plan,
}

/// How often a group is tried of which somebody else writes new records at the same time.
pub(super) const TRIES: u32 = 5;

/// Why a try ended.
pub(super) enum Unwritten {
    /// A record that was to be added has been added by somebody else meanwhile. The next try finds it.
    Raced,
    Store(StoreError),
}

impl<E: Into<StoreError>> From<E> for Unwritten {
    fn from(error: E) -> Self {
        Self::Store(error.into())
    }
}

impl Store {
    /// Writes the entries that can be let in, and says of each what became of it. No two are of the same record, and kinds come
    /// in their order, so what an entry refers to can be in the same group.
    ///
    /// # Errors
    /// If the database fails. Then nothing was written, or, if the connection broke at the very end, all: the same entries can be
    /// written again.
    pub async fn write_entries(&self, write: Write<'_>, entries: &[&Entry]) -> Result<Vec<Verdict>, StoreError> {
        for _ in 0..TRIES {
            match self.try_to_write(write, entries).await {
                Ok(verdicts) => return Ok(verdicts),
                Err(Unwritten::Raced) => {}
                Err(Unwritten::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended)
    }

    async fn try_to_write(&self, write: Write<'_>, entries: &[&Entry]) -> Result<Vec<Verdict>, Unwritten> {
        let tx = begin(&self.database).await?;
        plan_each_statement(&tx).await?;
        let verdicts = write_in(&tx, write, Purpose::Write, entries).await?;
        self.commit(tx, write, changes(entries, &verdicts)).await?;
        Ok(verdicts)
    }
}

/// Writes entries within a transaction, or only says what would become of them.
pub(super) async fn write_in(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    purpose: Purpose,
    entries: &[&Entry],
) -> Result<Vec<Verdict>, Unwritten> {
    let mut verdicts = Vec::with_capacity(entries.len());
    for run in entries.chunk_by(|one, next| one.kind() == next.kind()) {
        let Some(kind) = run.first().map(|entry| entry.kind()) else {
            continue;
        };
        let (records, seeds) = split(run);
        let of_run = match super::tables::table(kind) {
            Some(table) => write_records::write_records(tx, write, purpose, (kind, table), &records).await?,
            None => write_seeds::write_seeds(tx, write, purpose, &seeds).await?,
        };
        if purpose == Purpose::Plan && kind <= RecordKind::Location {
            import_run::note_would_exist(tx, write, kind, &records, &of_run).await?;
        }
        verdicts.extend(of_run);
    }
    Ok(verdicts)
}

/// What these verdicts changed.
pub(super) fn changes(entries: &[&Entry], verdicts: &[Verdict]) -> Changes {
    let mut changes = Changes::default();
    for (entry, verdict) in entries.iter().zip(verdicts) {
        if verdict.is_ok_and(|written| written.change != Change::Unchanged) {
            changes.add_entry(entry);
        }
    }
    changes
}

/// PostgreSQL keeps the plan of a statement that it has seen a few times. One made while a table was nearly empty reads the
/// whole table, and an import fills it long before PostgreSQL takes notice.
pub(super) async fn plan_each_statement(tx: &DatabaseTransaction) -> Result<(), StoreError> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("SET LOCAL plan_cache_mode = force_custom_plan")
            .await?;
    }
    Ok(())
}

fn split<'a>(run: &[&'a Entry]) -> (Vec<&'a Incoming>, Vec<&'a Seed>) {
    let mut records = Vec::new();
    let mut seeds = Vec::new();
    for entry in run {
        match entry {
            Entry::Record(incoming) => records.push(incoming),
            Entry::Seed(seed) => seeds.push(seed),
        }
    }
    (records, seeds)
}
