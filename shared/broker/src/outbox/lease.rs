//! What the relay does with the outbox: it takes rows for a while, and deletes them or gives them back. Each is one
//! statement, and none is part of a transaction that outlasts it.

use std::time::Duration;

use carepost_identity::OrganizationId;
use carepost_runtime::database::turn;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, QueryResult, Statement, Value};
use uuid::Uuid;

use crate::{
    event::{Event, EventKind},
    trace::TraceHeaders,
};

/// What a batch is taken for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Claim {
    /// The batch.
    pub id: Uuid,
    /// When it is taken.
    pub at: DateTime<Utc>,
    /// For how long nobody else takes it.
    pub lease: Duration,
    /// How many rows at most.
    pub limit: u32,
}

/// A row that was taken.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub id: Uuid,
    /// How often it was taken, this time included.
    pub attempts: u32,
    /// None if this version knows no such event: a newer one may have written it.
    pub event: Option<Event>,
}

// The rows are found once, by the inner SELECT in its ARRAY: as a plain IN, the planner may run it again for each row, and
// since it skips what it has locked, that would take more than the limit. SKIP LOCKED keeps two relays off the same rows.
const CLAIM_POSTGRES: &str = "\
    UPDATE outbox SET claim = $1, claimed_until = $2, attempts = attempts + 1 \
    WHERE id = ANY(ARRAY(\
        SELECT id FROM outbox WHERE claimed_until <= $3 ORDER BY id LIMIT $4 FOR UPDATE SKIP LOCKED)) \
    RETURNING id, organization, kind, payload, traceparent, tracestate, created_at, attempts";

// SQLite has one writer at a time, which skips nobody's rows. It has no arrays: ids come as a JSON array of hexadecimal texts.
const CLAIM_SQLITE: &str = "\
    UPDATE outbox SET claim = $1, claimed_until = $2, attempts = attempts + 1 \
    WHERE id IN (SELECT id FROM outbox WHERE claimed_until <= $3 ORDER BY id LIMIT $4) \
    RETURNING id, organization, kind, payload, traceparent, tracestate, created_at, attempts";

const DELETE_POSTGRES: &str = "DELETE FROM outbox WHERE id = ANY($1) AND claim = $2";

const DELETE_SQLITE: &str = "DELETE FROM outbox WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND claim = $2";

const RELEASE_POSTGRES: &str = "UPDATE outbox SET claim = NULL, claimed_until = $3 WHERE id = ANY($1) AND claim = $2";

const RELEASE_SQLITE: &str = "\
    UPDATE outbox SET claim = NULL, claimed_until = $3 \
    WHERE id IN (SELECT unhex(value) FROM json_each($1)) AND claim = $2";

/// Takes the oldest rows that nobody has, in the order of their ids.
pub(crate) async fn claim(db: &DatabaseConnection, claim: Claim) -> Result<Vec<Claimed>, DbErr> {
    let until = claim.at + claim.lease;
    let values = [
        claim.id.into(),
        until.into(),
        claim.at.into(),
        i64::from(claim.limit).into(),
    ];
    let _turn = turn(db).await?;
    let rows = db
        .query_all_raw(statement(db, [CLAIM_POSTGRES, CLAIM_SQLITE], values))
        .await?;
    let mut claimed = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    claimed.sort_by_key(|row| row.id);
    Ok(claimed)
}

/// Deletes rows that were published, if they are still held by this claim. Tells how many were.
pub(crate) async fn delete(db: &DatabaseConnection, claim: Uuid, ids: Vec<Uuid>) -> Result<u64, DbErr> {
    let values = [list(db, ids), claim.into()];
    let delete = statement(db, [DELETE_POSTGRES, DELETE_SQLITE], values);
    let _turn = turn(db).await?;
    Ok(db.execute_raw(delete).await?.rows_affected())
}

/// Gives rows back, not to be taken before `due`, if they are still held by this claim. Tells how many were.
pub(crate) async fn release(
    db: &DatabaseConnection,
    claim: Uuid,
    ids: Vec<Uuid>,
    due: DateTime<Utc>,
) -> Result<u64, DbErr> {
    let values = [list(db, ids), claim.into(), due.into()];
    let release = statement(db, [RELEASE_POSTGRES, RELEASE_SQLITE], values);
    let _turn = turn(db).await?;
    Ok(db.execute_raw(release).await?.rows_affected())
}

/// The statement in the form of the database: PostgreSQL's or SQLite's.
fn statement<const N: usize>(db: &DatabaseConnection, forms: [&str; 2], values: [Value; N]) -> Statement {
    let backend = db.get_database_backend();
    let [postgres, sqlite] = forms;
    let sql = if backend == DbBackend::Sqlite { sqlite } else { postgres };
    Statement::from_sql_and_values(backend, sql, values)
}

/// Ids as one value.
fn list(db: &DatabaseConnection, ids: Vec<Uuid>) -> Value {
    if db.get_database_backend() != DbBackend::Sqlite {
        return ids.into();
    }
    let texts: Vec<_> = ids.iter().map(|id| format!("\"{}\"", id.simple())).collect();
    format!("[{}]", texts.join(",")).into()
}

fn read(row: &QueryResult) -> Result<Claimed, DbErr> {
    let id = row.try_get("", "id")?;
    let attempts: i32 = row.try_get("", "attempts")?;
    Ok(Claimed {
        id,
        attempts: attempts.try_into().unwrap_or_default(),
        event: event(id, row)?,
    })
}

fn event(id: Uuid, row: &QueryResult) -> Result<Option<Event>, DbErr> {
    let kind: String = row.try_get("", "kind")?;
    let organization: String = row.try_get("", "organization")?;
    let (Some(kind), Ok(organization)) = (EventKind::from_routing_key(&kind), OrganizationId::parse(organization))
    else {
        return Ok(None);
    };
    Ok(Some(Event {
        id,
        organization,
        kind,
        payload: row.try_get("", "payload")?,
        trace: TraceHeaders::new(row.try_get("", "traceparent")?, row.try_get("", "tracestate")?),
        occurred_at: row.try_get("", "created_at")?,
    }))
}
