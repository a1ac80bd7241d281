//! Giving a claim back, when nothing was tried.

use carepost_runtime::database::begin;
use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};

use super::{
    Claimed, Store, StoreError, Write,
    entity::{attempt, delivery},
    in_time, rows,
};
use crate::domain::DeliveryState;

impl Store {
    /// Makes a claimed delivery due again, as if it had not been claimed: the attempt does not count. Tells whether it was
    /// still claimed.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn release(&self, write: Write<'_>, claimed: &Claimed) -> Result<bool, StoreError> {
        in_time(self.release_in_tx(write, claimed)).await
    }

    async fn release_in_tx(&self, write: Write<'_>, claimed: &Claimed) -> Result<bool, StoreError> {
        let state = if claimed.attempt_count > 1 {
            DeliveryState::Retrying
        } else {
            DeliveryState::Pending
        };
        let tx = begin(&self.database).await?;
        let released = delivery::Entity::update_many()
            .col_expr(delivery::Column::State, Expr::value(rows::state_text(state)))
            .col_expr(
                delivery::Column::AttemptCount,
                Expr::col(delivery::Column::AttemptCount).sub(1),
            )
            .col_expr(delivery::Column::UpdatedAt, Expr::value(write.now))
            .col_expr(delivery::Column::NextAttemptAt, Expr::value(write.now))
            .filter(delivery::Column::Organization.eq(write.organization.as_str()))
            .filter(delivery::Column::Id.eq(claimed.id))
            .filter(delivery::Column::Claim.eq(claimed.claim))
            .filter(delivery::Column::State.eq(rows::state_text(DeliveryState::Sending)))
            .exec(&*tx)
            .await?;
        if released.rows_affected == 0 {
            return Ok(false);
        }
        let number = (write.organization.to_string(), claimed.id, claimed.attempt_count);
        attempt::Entity::delete_by_id(number).exec(&*tx).await?;
        tx.commit().await?;
        Ok(true)
    }
}
