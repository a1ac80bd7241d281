//! How many deliveries wait, for gauges.

use sea_orm::{ConnectionTrait, Statement};

use super::{Store, StoreError, in_time, rows};
use crate::domain::DeliveryState;

/// The index of what is due has nothing else.
const WAITING: &str =
    "SELECT state, count(*) AS deliveries FROM delivery WHERE next_attempt_at IS NOT NULL GROUP BY state";

impl Store {
    /// How many deliveries of all organizations wait to be tried or are being tried, in each of these states.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn waiting(&self) -> Result<[(DeliveryState, u64); 3], StoreError> {
        in_time(async {
            let backend = self.database.get_database_backend();
            let asked = Statement::from_string(backend, WAITING);
            let mut waiting =
                [DeliveryState::Pending, DeliveryState::Sending, DeliveryState::Retrying].map(|state| (state, 0));
            for row in self.database.query_all_raw(asked).await? {
                let (stored, deliveries): (String, i64) = (row.try_get("", "state")?, row.try_get("", "deliveries")?);
                for (state, count) in &mut waiting {
                    if rows::state_text(*state) == stored {
                        *count = deliveries.try_into().unwrap_or_default();
                    }
                }
            }
            Ok(waiting)
        })
        .await
    }
}
