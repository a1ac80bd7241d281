//! What waits, for gauges.

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, Statement};

use super::{Store, StoreError, in_time, rows};
use crate::domain::DeliveryState;

/// The index of what is due has nothing else.
const WAITING: &str = "
    SELECT state, count(*) AS deliveries, min(next_attempt_at) AS due FROM delivery
    WHERE next_attempt_at IS NOT NULL GROUP BY state";

/// The deliveries of all organizations that wait to be tried or are being tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// How many are in each of these states.
    pub counts: [(DeliveryState, u64); 3],
    /// When the first of them is due, or was. Of one that is being tried: when its lease ends.
    pub due: Option<DateTime<Utc>>,
}

impl Store {
    /// What waits.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn waiting(&self) -> Result<Waiting, StoreError> {
        in_time(async {
            let backend = self.database.get_database_backend();
            let asked = Statement::from_string(backend, WAITING);
            let mut counts =
                [DeliveryState::Pending, DeliveryState::Sending, DeliveryState::Retrying].map(|state| (state, 0));
            let mut due: Option<DateTime<Utc>> = None;
            for row in self.database.query_all_raw(asked).await? {
                let (stored, deliveries): (String, i64) = (row.try_get("", "state")?, row.try_get("", "deliveries")?);
                let first: DateTime<Utc> = row.try_get("", "due")?;
                due = Some(due.map_or(first, |due| due.min(first)));
                for (state, count) in &mut counts {
                    if rows::state_text(*state) == stored {
                        *count = deliveries.try_into().unwrap_or_default();
                    }
                }
            }
            Ok(Waiting { counts, due })
        })
        .await
    }
}
