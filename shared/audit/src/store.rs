//! The tables: how records are written, and read in bounded pages.

use carepost_runtime::DatabaseFault;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, DbErr, FromQueryResult, QueryResult, Statement, Value};

use crate::{
    hash::{Hash, Seal},
    record::{Kept, Place, Record},
    schema::COLUMNS,
};

/// Reads records with their seals; what it is followed by tells which.
pub(crate) const SELECT: &str = "SELECT organization, recorded_at, id, actor, via, origin, action, subjects, outcome, request_id, \
     trace_id, count, seal_number, seal_place, seal_hash FROM audit_record";

/// How many rows one statement of SQLite writes at most; PostgreSQL takes them as arrays.
const ROWS: usize = 256;

/// Writes records, as part of the caller's transaction if it is given one.
///
/// # Errors
/// If the database fails, or has a record already.
pub async fn insert(connection: &impl ConnectionTrait, records: &[Record]) -> Result<(), DbErr> {
    write(connection, records, ["", ""]).await
}

/// Writes those of the records that are not there yet: for who cannot know whether they have been written before.
///
/// # Errors
/// If the database fails.
pub(crate) async fn insert_missing(connection: &impl ConnectionTrait, records: &[Record]) -> Result<(), DbErr> {
    // Without a target, so that the right to add rows is enough for it. SQLite has a trigger that comes before any conflict.
    let missing = "WHERE NOT EXISTS (SELECT 1 FROM audit_record WHERE organization = column1 AND recorded_at = column2 AND id = column3)";
    write(connection, records, ["ON CONFLICT DO NOTHING", missing]).await
}

/// Writes records under a condition of PostgreSQL or of `SQLite`.
async fn write(
    connection: &impl ConnectionTrait,
    records: &[Record],
    [postgres, sqlite]: [&str; 2],
) -> Result<(), DbErr> {
    let backend = connection.get_database_backend();
    if records.is_empty() {
        return Ok(());
    }
    if backend != DbBackend::Sqlite {
        let sql = format!("{} {postgres}", as_arrays());
        let statement = Statement::from_sql_and_values(backend, sql, arrays(records));
        return connection.execute_raw(statement).await.map(drop);
    }
    for part in records.chunks(ROWS) {
        let row = format!("({})", vec!["?"; COLUMNS.split(',').count()].join(", "));
        let rows = vec![row; part.len()].join(", ");
        let sql = format!("INSERT INTO audit_record ({COLUMNS}) SELECT * FROM (VALUES {rows}) {sqlite}");
        let statement = Statement::from_sql_and_values(backend, sql, part.iter().flat_map(values));
        connection.execute_raw(statement).await?;
    }
    Ok(())
}

/// One statement for any number of rows, so that it is prepared once.
fn as_arrays() -> String {
    format!(
        "INSERT INTO audit_record ({COLUMNS}) SELECT * FROM unnest($1::text[], $2::timestamptz[], $3::uuid[], $4::text[], \
         $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::uuid[], $11::text[], $12::int[])"
    )
}

fn arrays(records: &[Record]) -> [Value; 12] {
    let texts = |text: fn(&Record) -> &String| -> Value {
        records
            .iter()
            .map(|record| text(record).clone())
            .collect::<Vec<_>>()
            .into()
    };
    [
        texts(|record| &record.organization),
        records
            .iter()
            .map(|record| record.recorded_at)
            .collect::<Vec<_>>()
            .into(),
        records.iter().map(|record| record.id).collect::<Vec<_>>().into(),
        texts(|record| &record.actor),
        texts(|record| &record.via),
        texts(|record| &record.origin),
        texts(|record| &record.action),
        texts(|record| &record.subjects),
        texts(|record| &record.outcome),
        records
            .iter()
            .map(|record| record.request_id)
            .collect::<Vec<_>>()
            .into(),
        texts(|record| &record.trace_id),
        records.iter().map(|record| record.count).collect::<Vec<_>>().into(),
    ]
}

fn values(record: &Record) -> [Value; 12] {
    let record = record.clone();
    [
        record.organization.into(),
        record.recorded_at.into(),
        record.id.into(),
        record.actor.into(),
        record.via.into(),
        record.origin.into(),
        record.action.into(),
        record.subjects.into(),
        record.outcome.into(),
        record.request_id.into(),
        record.trace_id.into(),
        record.count.into(),
    ]
}

/// Why the trail could not be read or sealed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failed {
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error("records were sealed by somebody else meanwhile")]
    Raced,
}

/// What went wrong, safe to log.
impl From<Failed> for DatabaseFault {
    fn from(failed: Failed) -> Self {
        match failed {
            Failed::Database(error) => error.into(),
            Failed::Raced => Self::Unavailable,
        }
    }
}

/// A record with its seal, from [`SELECT`].
pub(crate) fn kept(row: &QueryResult) -> Result<Kept, Failed> {
    let number: Option<i64> = row.try_get("", "seal_number")?;
    let sealed = match number {
        None => None,
        Some(seal) => Some(Place {
            seal,
            place: row.try_get("", "seal_place")?,
            // A hash that is none fits nowhere in the chain, and is found there.
            hash: Hash::from_slice(&row.try_get::<Vec<u8>>("", "seal_hash")?).unwrap_or(Hash::GENESIS),
        }),
    };
    Ok(Kept {
        record: Record::from_query_result(row, "")?,
        sealed,
    })
}

#[derive(FromQueryResult)]
struct SealRow {
    organization: String,
    number: i64,
    sealed_at: DateTime<Utc>,
    records: i32,
    head: Vec<u8>,
}

/// The seals of an organization after a number, oldest first.
pub(crate) async fn seals(
    connection: &impl ConnectionTrait,
    organization: &str,
    after: i64,
    most: u64,
) -> Result<Vec<Seal>, Failed> {
    let sql = "SELECT organization, number, sealed_at, records, head FROM audit_seal \
               WHERE organization = $1 AND number > $2 ORDER BY number LIMIT $3";
    let values = [organization.into(), after.into(), most.cast_signed().into()];
    read_seals(connection, sql, values).await
}

/// The newest seal of an organization.
pub(crate) async fn last_seal(connection: &impl ConnectionTrait, organization: &str) -> Result<Option<Seal>, Failed> {
    let sql = "SELECT organization, number, sealed_at, records, head FROM audit_seal \
               WHERE organization = $1 ORDER BY number DESC LIMIT 1";
    Ok(read_seals(connection, sql, [organization.into()]).await?.pop())
}

async fn read_seals<const N: usize>(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<Vec<Seal>, Failed> {
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    let rows = SealRow::find_by_statement(statement).all(connection).await?;
    let seals = rows.into_iter().map(|row| Seal {
        organization: row.organization,
        number: row.number,
        sealed_at: row.sealed_at,
        records: row.records,
        head: Hash::from_slice(&row.head).unwrap_or(Hash::GENESIS),
    });
    Ok(seals.collect())
}

/// The organizations that a table has after one, one by one: by the key, so that it is quick in a long table.
pub(crate) async fn next_organization(
    connection: &impl ConnectionTrait,
    table: &str,
    after: Option<&str>,
) -> Result<Option<String>, Failed> {
    let (condition, values) = match after {
        None => ("", vec![]),
        Some(after) => ("WHERE organization > $1", vec![after.into()]),
    };
    let sql = format!("SELECT organization FROM {table} {condition} ORDER BY organization LIMIT 1");
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
    let row = connection.query_one_raw(statement).await?;
    Ok(row.map(|row| row.try_get("", "organization")).transpose()?)
}
