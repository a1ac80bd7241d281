//! Taking what is due.

use carepost_identity::{Actor, ChartId, OrganizationId, PersonId};
use carepost_runtime::database::begin;
use chrono::{DateTime, Utc};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DatabaseTransaction, DbBackend, DbErr, EntityTrait,
    FromQueryResult, QueryFilter, Statement, Value, sea_query::Expr,
};
use uuid::Uuid;

use super::{
    Store, StoreError,
    entity::{attempt, delivery},
    in_time, rows,
};
use crate::domain::AttemptOutcome;

/// A delivery that is ours to send, until its lease ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    /// The organization.
    pub organization: OrganizationId,
    /// The delivery.
    pub id: Uuid,
    /// The chart that the message regards, if any.
    pub chart: Option<ChartId>,
    /// To whom.
    pub recipient: PersonId,
    /// How many attempts there were, with this one.
    pub attempt_count: i32,
    /// The trace of the event.
    pub traceparent: Option<String>,
    /// When the delivery was recorded, or when an operator last made it begin anew.
    pub started_at: DateTime<Utc>,
    /// How many attempts there were since then, with this one.
    pub attempts_since_start: i32,
    /// How many of them ended without a known outcome.
    pub unknown_since_start: i32,
    /// Whether it was taken over from an attempt that died: one with an unknown outcome, of which nobody else will tell.
    pub took_over: bool,
    /// Proof that it is ours.
    pub claim: Uuid,
}

/// What is to be claimed, by whom and until when.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// Who acts. The claim is over all organizations.
    #[expect(dead_code, reason = "an audit trail will be written from it")]
    pub actor: &'a Actor,
    /// The time now.
    pub now: DateTime<Utc>,
    /// When the lease ends.
    pub lease_until: DateTime<Utc>,
    /// A fresh id.
    pub id: Uuid,
    /// How many at most.
    pub most: usize,
    /// Deliveries that this process is still busy with: an outage may keep it from recording what it did in time.
    pub not: &'a [Uuid],
}

// What is due is pending or retrying, or was being sent when its lease ended: the outcome of that attempt is unknown, and is
// counted as such. The parameters are $1 now, $2 end of the lease, $3 claim, $4 how many, and from $5 on what not to claim.

// Rows that somebody else is claiming at this moment are passed over.
const CLAIM_POSTGRES: &str = "\
WITH due AS MATERIALIZED (
    SELECT organization, id FROM delivery
    WHERE next_attempt_at <= $1{not}
    ORDER BY next_attempt_at LIMIT $4 FOR UPDATE SKIP LOCKED
)
UPDATE delivery SET
    state = 'sending',
    attempt_count = attempt_count + 1,
    unknown_outcome_count = unknown_outcome_count + CASE WHEN state = 'sending' THEN 1 ELSE 0 END,
    claim = $3,
    updated_at = $1,
    next_attempt_at = $2
FROM due WHERE delivery.organization = due.organization AND delivery.id = due.id
RETURNING delivery.*";

// SQLite has one writer at a time, and a statement that writes is one from its start: there is nobody to pass over.
const CLAIM_SQLITE: &str = "\
UPDATE delivery SET
    state = 'sending',
    attempt_count = attempt_count + 1,
    unknown_outcome_count = unknown_outcome_count + CASE WHEN state = 'sending' THEN 1 ELSE 0 END,
    claim = $3,
    updated_at = $1,
    next_attempt_at = $2
WHERE (organization, id) IN (
    SELECT organization, id FROM delivery
    WHERE next_attempt_at <= $1{not}
    ORDER BY next_attempt_at LIMIT $4
)
RETURNING *";

impl Store {
    /// Claims what is due, longest due first, and records that an attempt at each has begun.
    ///
    /// # Errors
    /// If the database does not answer. What it may have claimed is due again when its lease ends.
    pub async fn claim(&self, claim: Claim<'_>) -> Result<Vec<Claimed>, StoreError> {
        in_time(self.claim_in_tx(claim)).await
    }

    async fn claim_in_tx(&self, claim: Claim<'_>) -> Result<Vec<Claimed>, StoreError> {
        let backend = self.database.get_database_backend();
        let sql = match backend {
            DbBackend::Sqlite => CLAIM_SQLITE,
            _ => CLAIM_POSTGRES,
        };
        let (sql, values) = (sql.replace("{not}", &but_for(claim.not.len())), values(&claim));
        let tx = begin(&self.database).await?;
        let found = tx
            .query_all_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
        let found = found.iter().map(|row| delivery::Model::from_query_result(row, ""));
        let found = found.collect::<Result<Vec<_>, _>>()?;
        let begun = found.iter().map(|row| begun(row, claim.now));
        attempt::Entity::insert_many(begun).exec_without_returning(&*tx).await?;
        let mut claimed = Vec::new();
        for row in found {
            let took_over = end_the_dead(&tx, &row).await?;
            claimed.push(rows::claimed(row, took_over)?);
        }
        tx.commit().await?;
        Ok(claimed)
    }
}

/// Records the end of the attempt before, if it died. Tells whether it did.
async fn end_the_dead(tx: &DatabaseTransaction, row: &delivery::Model) -> Result<bool, DbErr> {
    if row.unknown_outcome_count == 0 {
        return Ok(false);
    }
    let unknown = rows::outcome_text(AttemptOutcome::Unknown);
    let ended = attempt::Entity::update_many()
        .col_expr(attempt::Column::Outcome, Expr::value(unknown))
        .col_expr(attempt::Column::Answer, Expr::value(rows::DIED))
        .filter(attempt::Column::Organization.eq(row.organization.as_str()))
        .filter(attempt::Column::Delivery.eq(row.id))
        .filter(attempt::Column::Number.eq(row.attempt_count - 1))
        .filter(attempt::Column::Outcome.is_null())
        .exec(tx)
        .await?;
    Ok(ended.rows_affected == 1)
}

fn begun(row: &delivery::Model, now: DateTime<Utc>) -> attempt::ActiveModel {
    attempt::ActiveModel {
        organization: Set(row.organization.clone()),
        delivery: Set(row.id),
        number: Set(row.attempt_count),
        begun_at: Set(now),
        ended_at: Set(None),
        outcome: Set(None),
        code: Set(0),
        answer: Set(String::new()),
    }
}

/// The condition that leaves out this many ids, whose parameters begin with $5.
fn but_for(count: usize) -> String {
    let places: Vec<_> = (5..5 + count).map(|place| format!("${place}")).collect();
    match places.as_slice() {
        [] => String::new(),
        places => format!(" AND id NOT IN ({})", places.join(", ")),
    }
}

fn values(claim: &Claim<'_>) -> Vec<Value> {
    let most = i64::try_from(claim.most).unwrap_or(i64::MAX);
    let own = [claim.now.into(), claim.lease_until.into(), claim.id.into(), most.into()];
    own.into_iter().chain(claim.not.iter().map(|id| (*id).into())).collect()
}
