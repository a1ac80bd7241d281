//! Chains the new records of each organization by hashes, apart from the changes that wrote them.
//!
//! A seal is one transaction, under a lock of its organization that is only tried for: any number of processes may have a
//! sealer, and one that dies leaves nothing behind. Records are chained in the order of their times as far as they are there; one that is
//! committed later comes into a later seal.

use std::time::Duration;

use carepost_runtime::{
    Clock, DatabaseFault,
    database::begin,
    metrics::{labels::Component, metrics},
};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement, Value};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::{
    hash::{Hash, Seal, of_record, of_seal},
    record::Record,
    store::{self, Failed, SELECT},
};

/// How often it looks for new records.
const EVERY: Duration = Duration::from_secs(1);
/// How many records one seal has at most.
const BATCH: u32 = 512;
/// How long one seal may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long one that is being made may take once the process stops.
const LAST: Duration = Duration::from_secs(1);

const LOCK: &str =
    "SELECT pg_try_advisory_xact_lock(hashtextextended('audit trail of ' || CAST($1 AS text), 0)) AS held";

const FILL_POSTGRES: &str = "\
    UPDATE audit_record r SET seal_number = $2, seal_place = v.place, seal_hash = v.hash \
    FROM unnest($3::timestamptz[], $4::uuid[], $5::int[], $6::bytea[]) AS v (recorded_at, id, place, hash) \
    WHERE r.organization = $1 AND r.recorded_at = v.recorded_at AND r.id = v.id AND r.seal_number IS NULL";

const FILL_SQLITE: &str = "\
    UPDATE audit_record SET seal_number = $2, seal_place = $5, seal_hash = $6 \
    WHERE organization = $1 AND recorded_at = $3 AND id = $4 AND seal_number IS NULL";

/// What came of a try to seal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sealed {
    /// There was nothing to seal, or somebody else is sealing.
    Nothing,
    /// So many records were sealed, and there are no more.
    All(u32),
    /// So many records were sealed, and there may be more.
    Some(u32),
}

/// Seals the trail of one database. Any number of them may work on it.
#[derive(Clone, Debug)]
pub struct Sealer {
    database: DatabaseConnection,
    clock: Clock,
    component: Component,
}

impl Sealer {
    /// A sealer of the database of this component.
    #[must_use]
    pub fn new(database: DatabaseConnection, clock: Clock, component: Component) -> Self {
        Self {
            database,
            clock,
            component,
        }
    }

    /// Works until `stop`: then the seals that are being made have a moment to be committed and told of, and those that were not
    /// are the next process's. Outages of the database are waited for.
    pub async fn run(self, stop: CancellationToken) {
        let mut good = Instant::now();
        while !stop.is_cancelled() {
            let told = async {
                stop.cancelled().await;
                sleep(LAST).await;
            };
            let round = tokio::select! {
                round = self.round() => round,
                () = told => return,
            };
            match round {
                Ok(more) => {
                    good = Instant::now();
                    // While there is more, it goes on at once.
                    if more {
                        continue;
                    }
                }
                Err(error) => {
                    metrics().audit_unsealed(self.component, good.elapsed());
                    tracing::warn!(%error, "the audit trail could not be sealed");
                }
            }
            let _ = timeout(EVERY, stop.cancelled()).await;
        }
    }

    /// One seal for each organization that has records without; tells whether there may be more.
    async fn round(&self) -> Result<bool, DatabaseFault> {
        let (mut more, mut oldest) = (false, Duration::ZERO);
        let mut last: Option<String> = None;
        while let Some((organization, since)) = self.unsealed_after(last.as_deref()).await? {
            oldest = oldest.max((self.clock.now() - since).to_std().unwrap_or_default());
            more |= matches!(self.seal(&organization).await?, Sealed::Some(_));
            last = Some(organization);
        }
        metrics().audit_unsealed(self.component, oldest);
        Ok(more)
    }

    /// The next organization with records without a seal, and the time of the first of them.
    async fn unsealed_after(&self, last: Option<&str>) -> Result<Option<(String, DateTime<Utc>)>, DatabaseFault> {
        let (condition, values) = match last {
            None => ("", vec![]),
            Some(last) => ("AND organization > $1", vec![last.into()]),
        };
        let sql = format!(
            "SELECT organization, recorded_at FROM audit_record WHERE seal_number IS NULL {condition} \
             ORDER BY organization, recorded_at, id LIMIT 1"
        );
        let statement = Statement::from_sql_and_values(self.database.get_database_backend(), sql, values);
        let row = in_time(async { Ok(self.database.query_one_raw(statement).await?) }).await?;
        let read =
            row.map(|row| Ok::<_, sea_orm::DbErr>((row.try_get("", "organization")?, row.try_get("", "recorded_at")?)));
        Ok(read.transpose()?)
    }

    /// Seals the oldest records of an organization that have no seal.
    ///
    /// # Errors
    /// If the database does not answer; then nothing is sealed, or all of it.
    pub async fn seal(&self, organization: &str) -> Result<Sealed, DatabaseFault> {
        let Some(seal) = in_time(self.try_to_seal(organization)).await? else {
            return Ok(Sealed::Nothing);
        };
        // An anchor outside of the database: who changes the whole chain there cannot change it here.
        tracing::info!(
            audit_organization = organization,
            number = seal.number,
            records = seal.records,
            head = %seal.head,
            "audit records were sealed"
        );
        let records = seal.records.unsigned_abs();
        Ok(if records < BATCH {
            Sealed::All(records)
        } else {
            Sealed::Some(records)
        })
    }

    async fn try_to_seal(&self, organization: &str) -> Result<Option<Seal>, Failed> {
        let tx = begin(&self.database).await?;
        if !locked(&tx, organization).await? {
            return Ok(None);
        }
        let records = unsealed(&tx, organization).await?;
        if records.is_empty() {
            return Ok(None);
        }
        let last = store::last_seal(&*tx, organization).await?;
        let (before, head) = last.map_or((0, Hash::GENESIS), |seal| (seal.number, seal.head));
        let number = before + 1;
        let hashes: Vec<_> = records
            .iter()
            .scan(head, |hash, record| {
                *hash = of_record(*hash, record);
                Some(*hash)
            })
            .collect();
        fill(&tx, organization, number, &records, &hashes).await?;
        let (sealed_at, count) = (self.clock.now(), i32::try_from(records.len()).unwrap_or(i32::MAX));
        let last = hashes.last().copied().unwrap_or(head);
        let seal = Seal {
            organization: organization.to_owned(),
            number,
            sealed_at,
            records: count,
            head: of_seal(last, organization, number, sealed_at, count),
        };
        write(&tx, &seal).await?;
        tx.commit().await?;
        Ok(Some(seal))
    }
}

async fn in_time<T>(work: impl Future<Output = Result<T, Failed>>) -> Result<T, DatabaseFault> {
    let done = timeout(PATIENCE, work).await;
    Ok(done.map_err(|_| DatabaseFault::Unavailable)??)
}

/// Whether this transaction is the one that seals. SQLite has one writer at a time.
async fn locked(tx: &DatabaseTransaction, organization: &str) -> Result<bool, Failed> {
    let backend = tx.get_database_backend();
    if backend == DbBackend::Sqlite {
        return Ok(true);
    }
    let statement = Statement::from_sql_and_values(backend, LOCK, [organization.into()]);
    let row = tx.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get("", "held")).transpose()?.unwrap_or_default())
}

async fn unsealed(tx: &DatabaseTransaction, organization: &str) -> Result<Vec<Record>, Failed> {
    let sql =
        format!("{SELECT} WHERE organization = $1 AND seal_number IS NULL ORDER BY recorded_at, id LIMIT {BATCH}");
    let statement = Statement::from_sql_and_values(tx.get_database_backend(), sql, [organization.into()]);
    let rows = tx.query_all_raw(statement).await?;
    rows.iter().map(|row| Ok(store::kept(row)?.record)).collect()
}

async fn fill(
    tx: &DatabaseTransaction,
    organization: &str,
    number: i64,
    records: &[Record],
    hashes: &[Hash],
) -> Result<(), Failed> {
    let backend = tx.get_database_backend();
    let places = 1..=i32::try_from(records.len()).unwrap_or(i32::MAX);
    let filled = if backend == DbBackend::Sqlite {
        let mut filled = 0;
        for ((record, hash), place) in records.iter().zip(hashes).zip(places) {
            let values: [Value; 6] = [
                organization.into(),
                number.into(),
                record.recorded_at.into(),
                record.id.into(),
                place.into(),
                hash.0.to_vec().into(),
            ];
            let statement = Statement::from_sql_and_values(backend, FILL_SQLITE, values);
            filled += tx.execute_raw(statement).await?.rows_affected();
        }
        filled
    } else {
        let values: [Value; 6] = [
            organization.into(),
            number.into(),
            records
                .iter()
                .map(|record| record.recorded_at)
                .collect::<Vec<_>>()
                .into(),
            records.iter().map(|record| record.id).collect::<Vec<_>>().into(),
            places.collect::<Vec<_>>().into(),
            hashes.iter().map(|hash| hash.0.to_vec()).collect::<Vec<_>>().into(),
        ];
        let statement = Statement::from_sql_and_values(backend, FILL_POSTGRES, values);
        tx.execute_raw(statement).await?.rows_affected()
    };
    if filled == records.len() as u64 {
        Ok(())
    } else {
        Err(Failed::Raced)
    }
}

async fn write(tx: &DatabaseTransaction, seal: &Seal) -> Result<(), Failed> {
    let sql = "INSERT INTO audit_seal (organization, number, sealed_at, records, head) VALUES ($1, $2, $3, $4, $5)";
    let values: [Value; 5] = [
        seal.organization.as_str().into(),
        seal.number.into(),
        seal.sealed_at.into(),
        seal.records.into(),
        seal.head.0.to_vec().into(),
    ];
    tx.execute_raw(Statement::from_sql_and_values(tx.get_database_backend(), sql, values))
        .await?;
    Ok(())
}
