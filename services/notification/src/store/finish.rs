//! What became of an attempt.

use sea_orm::{ColumnTrait, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};

use super::{Claimed, Store, StoreError, Write, entity::delivery, rows};
use crate::domain::{DeliveryState, Settled};

impl Store {
    /// Records what an attempt made of its delivery. Tells whether it was still claimed: if not, the lease had ended and
    /// somebody else has it, who counted this attempt as one with an unknown outcome; or this was recorded before.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn finish(&self, write: Write<'_>, claimed: &Claimed, settled: &Settled) -> Result<bool, StoreError> {
        let unknown = i32::from(settled.unknown_outcome);
        let reason = settled.suppression_reason.map(rows::reason_text);
        let mut update = delivery::Entity::update_many()
            .col_expr(delivery::Column::State, Expr::value(rows::state_text(settled.state)))
            .col_expr(
                delivery::Column::UnknownOutcomeCount,
                Expr::col(delivery::Column::UnknownOutcomeCount).add(unknown),
            )
            .col_expr(delivery::Column::SuppressionReason, Expr::value(reason))
            .col_expr(delivery::Column::UpdatedAt, Expr::value(write.now))
            .col_expr(delivery::Column::NextAttemptAt, Expr::value(settled.next_attempt_at));
        if let Some(answer) = &settled.answer {
            update = update
                .col_expr(delivery::Column::LastCode, Expr::value(i32::from(answer.code())))
                .col_expr(delivery::Column::LastAnswer, Expr::value(answer.text()));
        }
        let finished = update
            .filter(delivery::Column::Organization.eq(write.organization.as_str()))
            .filter(delivery::Column::Id.eq(claimed.id))
            .filter(delivery::Column::Claim.eq(claimed.claim))
            .filter(delivery::Column::State.eq(rows::state_text(DeliveryState::Sending)))
            .exec(&self.database)
            .await?;
        Ok(finished.rows_affected == 1)
    }
}
