//! The database's clock: the only one that all replicas share. What decides between their writes is told by it, and never by
//! theirs, which may differ by more than an import takes.

use carepost_identity::OrganizationId;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend, Statement, Value};

use super::{StoreError, row::get, sql::fixed};
use crate::domain::directory::RecordKind;

/// The time now, not that of the beginning of the transaction.
const POSTGRES: &str = "SELECT clock_timestamp() AS now";
/// In milliseconds, which is all that SQLite tells.
const SQLITE: &str = "SELECT CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER) AS now";

/// The time once the lock is held, which the transaction then keeps. Who waits for it is served in turn, so that writes without
/// a pause between them keep no import from beginning.
const SHARED: &str = "SELECT clock_timestamp() AS now FROM (SELECT
  pg_advisory_xact_lock_shared(hashtextextended('import of ' || CAST($1 AS text), 0)) AS held) AS locked";
const ALONE: &str = "SELECT clock_timestamp() AS now FROM (SELECT
  pg_advisory_xact_lock(hashtextextended('import of ' || CAST($1 AS text), 0)) AS held) AS locked";

/// The time now.
pub(super) async fn now(connection: &impl ConnectionTrait) -> Result<DateTime<Utc>, StoreError> {
    let backend = connection.get_database_backend();
    let text = if backend == DbBackend::Postgres {
        POSTGRES
    } else {
        SQLITE
    };
    read(connection, fixed(backend, text, [])).await
}

/// The time with which a transaction stamps the records of a kind that it writes. To be asked for before rows are locked, and
/// for kinds in their order.
///
/// What others refer to is written alone. They lock its row for that, and PostgreSQL lets one more of them have the lock while
/// somebody waits to change the row: records that come without a pause would keep a change of their location out for ever.
pub(super) async fn of_write(
    tx: &DatabaseTransaction,
    organization: &OrganizationId,
    kind: RecordKind,
) -> Result<DateTime<Utc>, StoreError> {
    let lock = if kind.is_referred_to() { ALONE } else { SHARED };
    locked(tx, lock, organization).await
}

/// A time between two kinds of writes of records: those that are stamped earlier have been committed, and later ones are
/// stamped later.
pub(super) async fn between_writes(
    tx: &DatabaseTransaction,
    organization: &OrganizationId,
) -> Result<DateTime<Utc>, StoreError> {
    locked(tx, ALONE, organization).await
}

async fn locked(
    tx: &DatabaseTransaction,
    text: &str,
    organization: &OrganizationId,
) -> Result<DateTime<Utc>, StoreError> {
    match tx.get_database_backend() {
        DbBackend::Postgres => {
            let organization = Value::from(organization.as_str());
            read(tx, fixed(DbBackend::Postgres, text, [organization])).await
        }
        // There one transaction writes at a time, this one.
        _ => now(tx).await,
    }
}

async fn read(connection: &impl ConnectionTrait, statement: Statement) -> Result<DateTime<Utc>, StoreError> {
    let backend = statement.db_backend;
    let row = connection.query_one_raw(statement).await?;
    let row = row.ok_or(StoreError::Corrupt("time"))?;
    if backend == DbBackend::Postgres {
        get(&row, "now")
    } else {
        DateTime::from_timestamp_millis(get(&row, "now")?).ok_or(StoreError::Corrupt("time"))
    }
}
