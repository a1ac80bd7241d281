//! An operator's retry.

use carepost_audit::{Subject, Told, insert};
use carepost_runtime::database::begin;
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{Set, Unchanged},
    EntityTrait, QuerySelect,
};
use uuid::Uuid;

use super::{Store, StoreError, Write, entity::delivery, rows};
use crate::domain::{Delivery, DeliveryState, Retry, retry};

impl Store {
    /// Makes a delivery due at once, as far as its state allows, and tells what was done and what it is now; none if there is
    /// no such delivery.
    ///
    /// # Errors
    /// If the database does not answer; then nothing is done, or all.
    pub async fn retry(&self, write: Write<'_>, id: Uuid) -> Result<Option<(Retry, Delivery)>, StoreError> {
        let tx = begin(&self.database).await?;
        let found = delivery::Entity::find_by_id((write.organization.to_string(), id))
            .lock_exclusive()
            .one(&*tx)
            .await?;
        let Some(row) = found else {
            return Ok(None);
        };
        let step = retry(rows::state(&row)?);
        let row = match step {
            Retry::Anew => anew(write, &row).update(&*tx).await?,
            Retry::Now => now(write, &row).update(&*tx).await?,
            Retry::Leave | Retry::Refuse => row,
        };
        let is_changed = matches!(step, Retry::Anew | Retry::Now);
        if is_changed {
            insert(&*tx, &[write.record(Subject::delivery(id))]).await?;
        }
        tx.commit().await?;
        if is_changed {
            write.occasion.tell(Told::Changed);
        }
        Ok(Some((step, rows::delivery(row)?)))
    }
}

fn now(write: Write<'_>, row: &delivery::Model) -> delivery::ActiveModel {
    delivery::ActiveModel {
        organization: Unchanged(row.organization.clone()),
        id: Unchanged(row.id),
        updated_at: Set(write.now),
        next_attempt_at: Set(Some(write.now)),
        ..Default::default()
    }
}

fn anew(write: Write<'_>, row: &delivery::Model) -> delivery::ActiveModel {
    delivery::ActiveModel {
        state: Set(rows::state_text(DeliveryState::Retrying).to_owned()),
        suppression_reason: Set(None),
        retried_at: Set(Some(write.now)),
        retried_by_service: Set(write.actor.service().map(ToString::to_string)),
        retried_by_person: Set(write.actor.person().map(ToString::to_string)),
        attempts_before_retry: Set(row.attempt_count),
        unknown_before_retry: Set(row.unknown_outcome_count),
        ..now(write, row)
    }
}
