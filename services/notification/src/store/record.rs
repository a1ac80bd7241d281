//! Deliveries that follow from an event.

use carepost_runtime::database::turn;
use sea_orm::{ActiveValue::Set, EntityTrait, sea_query::OnConflict};

use super::{Store, StoreError, Write, entity::delivery, in_time, rows};
use crate::domain::{DeliveryState, NewDelivery};

impl Store {
    /// Records deliveries, due at once, in one statement. Those that are there already stay as they are: a redelivered
    /// event changes nothing. Tells how many are new.
    ///
    /// # Errors
    /// If the database does not answer; then none is recorded.
    pub async fn record(
        &self,
        write: Write<'_>,
        deliveries: &[NewDelivery],
        traceparent: Option<&str>,
    ) -> Result<u64, StoreError> {
        let rows = deliveries.iter().map(|new| row(write, new, traceparent));
        let insert = delivery::Entity::insert_many(rows).on_conflict(OnConflict::new().do_nothing().to_owned());
        in_time(async {
            let _turn = turn(&self.database).await?;
            Ok(insert.exec_without_returning(&self.database).await?)
        })
        .await
    }
}

fn row(write: Write<'_>, new: &NewDelivery, traceparent: Option<&str>) -> delivery::ActiveModel {
    delivery::ActiveModel {
        organization: Set(write.organization.to_string()),
        id: Set(new.id),
        event_id: Set(new.event_id),
        message_id: Set(new.message_id),
        chart_id: Set(new.chart.as_ref().map(ToString::to_string)),
        recipient: Set(new.recipient.to_string()),
        state: Set(rows::state_text(DeliveryState::Pending).to_owned()),
        attempt_count: Set(0),
        unknown_outcome_count: Set(0),
        last_code: Set(0),
        last_answer: Set(String::new()),
        suppression_reason: Set(None),
        traceparent: Set(traceparent.map(ToOwned::to_owned)),
        claim: Set(None),
        created_at: Set(write.now),
        updated_at: Set(write.now),
        next_attempt_at: Set(Some(write.now)),
        retried_at: Set(None),
        retried_by_service: Set(None),
        retried_by_person: Set(None),
        attempts_before_retry: Set(0),
        unknown_before_retry: Set(0),
    }
}
