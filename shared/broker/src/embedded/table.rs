//! The queues as a table: one statement each, for SQLite alone.

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, DeriveIden, QueryResult, Statement,
    TransactionTrait, Value, sea_query::Query,
};

use crate::{
    consumer::{Death, Received},
    event::Event,
    trace::TraceHeaders,
};

/// The version of the schema, kept in the file.
const VERSION: i32 = 1;

/// How many rows one statement writes: SQLite takes at most 32,766 values.
const ROWS: usize = 500;

// Never the same sequence twice, so that the order is that of arrival.
const CREATE: &str = "\
    CREATE TABLE message (\
        sequence INTEGER PRIMARY KEY AUTOINCREMENT, \
        queue TEXT NOT NULL, \
        message_id TEXT NOT NULL, \
        message_type TEXT NOT NULL, \
        routing_key TEXT NOT NULL, \
        traceparent TEXT, \
        tracestate TEXT, \
        occurred_at TEXT NOT NULL, \
        body BLOB NOT NULL, \
        deliveries INTEGER NOT NULL DEFAULT 0, \
        dead_reason TEXT, \
        dead_queue TEXT, \
        dead_time TEXT) STRICT; \
    CREATE INDEX message_queue ON message (queue, sequence);";

// Steps over as many entries of the index as there are messages: 50 ms for a million, next to nothing for what a queue has
// while somebody takes from it.
const COUNT: &str = "SELECT count(*) AS messages FROM (SELECT 1 FROM message WHERE queue = $1 LIMIT $2)";

const CLAIM: &str = "\
    UPDATE message SET deliveries = deliveries + 1 \
    WHERE sequence IN (\
        SELECT sequence FROM message \
        WHERE queue = $1 AND sequence NOT IN (SELECT value FROM json_each($2)) ORDER BY sequence LIMIT $3) \
    RETURNING sequence, message_id, message_type, routing_key, traceparent, tracestate, body, deliveries";

const DELETE: &str = "DELETE FROM message WHERE sequence IN (SELECT value FROM json_each($1))";

const BURY: &str = "\
    UPDATE message SET queue = $1, deliveries = 0, dead_reason = $2, dead_queue = $3, dead_time = $4 \
    WHERE sequence = $5 AND queue = $3";

#[derive(DeriveIden)]
enum Message {
    Table,
    Queue,
    #[sea_orm(iden = "message_id")]
    Id,
    #[sea_orm(iden = "message_type")]
    Type,
    RoutingKey,
    Traceparent,
    Tracestate,
    OccurredAt,
    Body,
}

/// A message that was claimed.
pub(super) struct Claimed {
    pub(super) sequence: i64,
    pub(super) received: Received,
}

/// Makes the table if the file is new. False if a newer version has made it.
pub(super) async fn create(db: &DatabaseConnection) -> Result<bool, DbErr> {
    let transaction = db.begin().await?;
    let row = transaction.query_one_raw(statement("PRAGMA user_version", [])).await?;
    let version: i32 = row.map_or(Ok(0), |row| row.try_get("", "user_version"))?;
    if version == 0 {
        transaction.execute_unprepared(CREATE).await?;
        let keep = format!("PRAGMA user_version = {VERSION}");
        transaction.execute_unprepared(&keep).await?;
    }
    transaction.commit().await?;
    Ok(version <= VERSION)
}

/// How many messages a queue can take that holds `limit`.
pub(super) async fn room(transaction: &DatabaseTransaction, queue: &str, limit: u32) -> Result<u32, DbErr> {
    let count = statement(COUNT, [queue.into(), i64::from(limit).into()]);
    let row = transaction.query_one_raw(count).await?;
    let messages: i64 = row.map_or(Ok(0), |row| row.try_get("", "messages"))?;
    Ok(limit.saturating_sub(messages.try_into().unwrap_or(u32::MAX)))
}

/// Puts events at the ends of queues, in this order.
pub(super) async fn insert(transaction: &DatabaseTransaction, rows: &[(&str, &Event)]) -> Result<(), DbErr> {
    for rows in rows.chunks(ROWS) {
        let mut insert = Query::insert();
        insert.into_table(Message::Table).columns([
            Message::Queue,
            Message::Id,
            Message::Type,
            Message::RoutingKey,
            Message::Traceparent,
            Message::Tracestate,
            Message::OccurredAt,
            Message::Body,
        ]);
        for (queue, event) in rows {
            insert.values_panic([
                (*queue).into(),
                event.id.to_string().into(),
                event.kind.message_type().into(),
                event.kind.routing_key().into(),
                event.trace.traceparent.clone().into(),
                event.trace.tracestate.clone().into(),
                event.occurred_at.into(),
                event.payload.clone().into(),
            ]);
        }
        transaction.execute(&insert).await?;
    }
    Ok(())
}

/// Hands out the oldest messages of a queue that are not in `held`, a JSON array of sequences; in the order of the queue.
pub(super) async fn claim(
    db: &DatabaseConnection,
    queue: &str,
    held: String,
    limit: usize,
) -> Result<Vec<Claimed>, DbErr> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let claim = statement(CLAIM, [queue.into(), held.into(), limit.into()]);
    let rows = db.query_all_raw(claim).await?;
    let mut claimed = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    claimed.sort_by_key(|message| message.sequence);
    Ok(claimed)
}

/// Forgets messages, given as a JSON array of sequences.
pub(super) async fn delete(db: &DatabaseConnection, sequences: String) -> Result<(), DbErr> {
    db.execute_raw(statement(DELETE, [sequences.into()])).await.map(drop)
}

/// Moves a message to the queue of the dead letters, if it is still where it was.
pub(super) async fn bury(
    transaction: &DatabaseTransaction,
    sequence: i64,
    queue: &str,
    death: &Death,
) -> Result<(), DbErr> {
    let (reason, from, time) = (death.reason.as_str(), death.queue.as_str(), death.time.as_str());
    let values = [queue.into(), reason.into(), from.into(), time.into(), sequence.into()];
    transaction.execute_raw(statement(BURY, values)).await.map(drop)
}

pub(super) fn statement<const N: usize>(sql: &str, values: [Value; N]) -> Statement {
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

fn read(row: &QueryResult) -> Result<Claimed, DbErr> {
    let deliveries: i64 = row.try_get("", "deliveries")?;
    Ok(Claimed {
        sequence: row.try_get("", "sequence")?,
        received: Received {
            body: row.try_get("", "body")?,
            message_id: row.try_get("", "message_id")?,
            message_type: row.try_get("", "message_type")?,
            routing_key: row.try_get("", "routing_key")?,
            trace: TraceHeaders::new(row.try_get("", "traceparent")?, row.try_get("", "tracestate")?),
            redelivered: deliveries > 1,
        },
    })
}
