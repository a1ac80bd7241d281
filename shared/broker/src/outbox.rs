//! The table of events that are to be published: written by the transaction that makes them true, emptied by the relay.
//!
//! | column | | |
//! |---|---|---|
//! | `id` | uuid, primary key | the event's id, a UUID of version 7: the relay takes the oldest first |
//! | `organization` | text | the event's organization |
//! | `kind` | text | [`EventKind::routing_key`](crate::event::EventKind::routing_key) |
//! | `payload` | bytes | the encoded proto message |
//! | `traceparent` | text, null | [`TraceHeaders`](crate::trace::TraceHeaders) of the request |
//! | `tracestate` | text, null | the same |
//! | `created_at` | timestamptz | when it happened |
//! | `claimed_until` | timestamptz, default the epoch | no relay takes it before |
//! | `claim` | uuid, null by default | the batch in which a relay has it, or had it until it died |
//! | `attempts` | integer, default 0 | how often a relay has taken it |
//!
//! Who writes an event gives the first seven ([`COLUMNS`]) and leaves the others to their defaults. There is no other index
//! than the primary key: the table is empty but for what has not been published yet, and each send would pay for one.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, sea_query::Query};
use sea_orm_migration::{prelude::*, schema};

use crate::event::Event;

pub(crate) mod lease;

/// The name of the table.
pub const TABLE: &str = "outbox";

/// The columns that an `INSERT` gives, in this order.
pub const COLUMNS: &str = "id, organization, kind, payload, traceparent, tracestate, created_at";

/// Before any time, in the form in which SQLite keeps times: texts, sorted as such.
const EPOCH: &str = "1970-01-01T00:00:00+00:00";

#[derive(DeriveIden)]
enum Outbox {
    Table,
    Id,
    Organization,
    Kind,
    Payload,
    Traceparent,
    Tracestate,
    CreatedAt,
    ClaimedUntil,
    Claim,
    Attempts,
}

/// Makes the table.
#[must_use]
pub fn create_table() -> TableCreateStatement {
    Table::create()
        .table(Outbox::Table)
        .col(schema::uuid(Outbox::Id).primary_key())
        .col(schema::text(Outbox::Organization))
        .col(schema::text(Outbox::Kind))
        .col(schema::binary(Outbox::Payload))
        .col(schema::text_null(Outbox::Traceparent))
        .col(schema::text_null(Outbox::Tracestate))
        .col(schema::timestamp_with_time_zone(Outbox::CreatedAt))
        .col(schema::timestamp_with_time_zone(Outbox::ClaimedUntil).default(EPOCH))
        .col(schema::uuid_null(Outbox::Claim))
        .col(schema::integer(Outbox::Attempts).default(0))
        .take()
}

/// Removes the table.
#[must_use]
pub fn drop_table() -> TableDropStatement {
    Table::drop().table(Outbox::Table).take()
}

/// How many events wait, and since when the oldest has: by two reads, between which a relay may empty the table.
///
/// # Errors
/// If the database does not answer.
pub(crate) async fn waiting(database: &DatabaseConnection) -> Result<(u64, Option<DateTime<Utc>>), DbErr> {
    let ask = |sql: &str| Statement::from_string(database.get_database_backend(), sql);
    // Ids sort by time: the first one is the oldest, up to the skew of clocks.
    let oldest = database.query_one_raw(ask("SELECT created_at FROM outbox ORDER BY id LIMIT 1"));
    let oldest = oldest.await?.map(|row| row.try_get("", "created_at")).transpose()?;
    let counted = database.query_one_raw(ask("SELECT count(*) AS events FROM outbox"));
    let events: i64 = counted.await?.map_or(Ok(0), |row| row.try_get("", "events"))?;
    Ok((events.try_into().unwrap_or_default(), oldest))
}

/// Writes an event, as part of the caller's transaction. After the commit, the caller wakes the relay.
///
/// # Errors
/// If the database fails, or has an event of this id.
pub async fn insert(connection: &impl ConnectionTrait, event: &Event) -> Result<(), DbErr> {
    let row = Query::insert()
        .into_table(Outbox::Table)
        .columns([
            Outbox::Id,
            Outbox::Organization,
            Outbox::Kind,
            Outbox::Payload,
            Outbox::Traceparent,
            Outbox::Tracestate,
            Outbox::CreatedAt,
        ])
        .values_panic([
            event.id.into(),
            event.organization.as_str().into(),
            event.kind.routing_key().into(),
            event.payload.clone().into(),
            event.trace.traceparent.clone().into(),
            event.trace.tracestate.clone().into(),
            event.occurred_at.into(),
        ])
        .take();
    connection.execute(&row).await.map(drop)
}
