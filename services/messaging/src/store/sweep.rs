//! Forgetting requests that are older than a day.

use carepost_runtime::database::turn;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, Statement};

use super::{Store, StoreError};

/// How long a request id is known (product.md, "The API by capability").
const KNOWN_FOR: TimeDelta = TimeDelta::hours(24);

/// Removed in one statement at most: a short one, that keeps nobody waiting.
const BATCH: i64 = 1_000;

const SWEEP: &str = "
    DELETE FROM request WHERE (organization, person, rpc, request_id) IN (
        SELECT organization, person, rpc, request_id FROM request WHERE answered_at < $1 ORDER BY answered_at LIMIT $2
    )";

impl Store {
    /// Removes some requests that are no longer known. True if there may be more.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn sweep_requests(&self, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let values = [(now - KNOWN_FOR).into(), BATCH.into()];
        let statement = Statement::from_sql_and_values(self.database.get_database_backend(), SWEEP, values);
        let _turn = turn(&self.database).await?;
        let removed = self.database.execute_raw(statement).await?.rows_affected();
        Ok(removed >= BATCH.unsigned_abs())
    }
}
