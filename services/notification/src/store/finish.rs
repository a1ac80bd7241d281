//! What became of an attempt.

use carepost_runtime::database::begin;
use sea_orm::{ColumnTrait, DatabaseTransaction, DbErr, EntityTrait, ExprTrait, QueryFilter, sea_query::Expr};

use super::{
    Claimed, Store, StoreError, Write,
    entity::{attempt, delivery},
    in_time, rows,
};
use crate::domain::{DeliveryState, Settled};

impl Store {
    /// Records how an attempt ended, and what it made of its delivery. Tells whether it is recorded, now or by an earlier call
    /// whose answer was lost. If not, the lease had ended and somebody else has the delivery, who counted this attempt as one
    /// with an unknown outcome.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn finish(&self, write: Write<'_>, claimed: &Claimed, settled: &Settled) -> Result<bool, StoreError> {
        in_time(async {
            let tx = begin(&self.database).await?;
            let finished = finish_delivery(&tx, write, claimed, settled).await?;
            if !finished {
                return is_recorded(&tx, write, claimed).await;
            }
            finish_attempt(&tx, write, claimed, settled).await?;
            tx.commit().await?;
            Ok(true)
        })
        .await
    }
}

async fn finish_delivery(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    claimed: &Claimed,
    settled: &Settled,
) -> Result<bool, DbErr> {
    let unknown = i32::from(settled.is_unknown());
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
        .exec(tx)
        .await?;
    Ok(finished.rows_affected == 1)
}

/// Whether the attempt has an end already, and not the one that who took it over gave it.
async fn is_recorded(tx: &DatabaseTransaction, write: Write<'_>, claimed: &Claimed) -> Result<bool, StoreError> {
    let number = (write.organization.to_string(), claimed.id, claimed.attempt_count);
    let found = attempt::Entity::find_by_id(number).one(tx).await?;
    Ok(found.is_some_and(|attempt| attempt.ended_at.is_some()))
}

async fn finish_attempt(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    claimed: &Claimed,
    settled: &Settled,
) -> Result<(), DbErr> {
    let answer = settled.answer.clone().unwrap_or_default();
    attempt::Entity::update_many()
        .col_expr(attempt::Column::EndedAt, Expr::value(write.now))
        .col_expr(
            attempt::Column::Outcome,
            Expr::value(rows::outcome_text(settled.outcome)),
        )
        .col_expr(attempt::Column::Code, Expr::value(i32::from(answer.code())))
        .col_expr(attempt::Column::Answer, Expr::value(answer.text()))
        .filter(attempt::Column::Organization.eq(write.organization.as_str()))
        .filter(attempt::Column::Delivery.eq(claimed.id))
        .filter(attempt::Column::Number.eq(claimed.attempt_count))
        .exec(tx)
        .await?;
    Ok(())
}
