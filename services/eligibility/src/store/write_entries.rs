//! Writes entries of the directory, all in one transaction: one of a Put, a group of an import.

use carepost_runtime::database::begin;
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend};

use super::{Store, StoreError, Write, write_records, write_seeds};
use crate::domain::{
    directory::{Entry, Incoming, RecordKind, Seed},
    version::{WriteRefusal, Written},
};

/// What became of one entry.
pub type Verdict = Result<Written, WriteRefusal>;

/// How often a group is tried of which somebody else writes new records at the same time.
const TRIES: u32 = 5;

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
            match try_to_write(&self.database, write, entries).await {
                Ok(verdicts) => return Ok(verdicts),
                Err(Unwritten::Raced) => {}
                Err(Unwritten::Store(error)) => return Err(error),
            }
        }
        Err(StoreError::Contended)
    }
}

async fn try_to_write(
    database: &DatabaseConnection,
    write: Write<'_>,
    entries: &[&Entry],
) -> Result<Vec<Verdict>, Unwritten> {
    let tx = begin(database).await?;
    plan_each_statement(&tx).await?;
    let mut verdicts = Vec::with_capacity(entries.len());
    for run in entries.chunk_by(|one, next| one.kind() == next.kind()) {
        let (records, seeds) = split(run);
        if let Some(kind) = run.first().map(|entry| entry.kind()) {
            verdicts.extend(write_run(&tx, write, kind, &records, &seeds).await?);
        }
    }
    tx.commit().await?;
    Ok(verdicts)
}

/// PostgreSQL keeps the plan of a statement that it has seen a few times. One made while a table was nearly empty reads the
/// whole table, and an import fills it long before PostgreSQL takes notice.
async fn plan_each_statement(tx: &DatabaseTransaction) -> Result<(), Unwritten> {
    if tx.get_database_backend() == DbBackend::Postgres {
        tx.execute_unprepared("SET LOCAL plan_cache_mode = force_custom_plan")
            .await?;
    }
    Ok(())
}

/// A run is of one kind: either list is empty.
async fn write_run(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    kind: RecordKind,
    records: &[&Incoming],
    seeds: &[&Seed],
) -> Result<Vec<Verdict>, Unwritten> {
    match super::tables::table(kind) {
        Some(table) => write_records::write_records(tx, write, table, records).await,
        None => write_seeds::write_seeds(tx, write, seeds).await,
    }
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
