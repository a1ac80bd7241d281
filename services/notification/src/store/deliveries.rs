//! The list of deliveries.

use carepost_identity::{OrganizationId, PersonId};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};
use uuid::Uuid;

use super::{Store, StoreError, entity::delivery, rows};
use crate::domain::{Delivery, DeliveryState};

/// Which deliveries; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// Only about this message.
    pub message_id: Option<Uuid>,
    /// Only to this recipient.
    pub recipient: Option<PersonId>,
    /// Only in this state.
    pub state: Option<DeliveryState>,
    /// Only recorded then or later.
    pub created_from: Option<DateTime<Utc>>,
    /// Only recorded before.
    pub created_to: Option<DateTime<Utc>>,
}

/// A place in the list: that of the delivery which was recorded then and has this id.
pub type DeliveryPosition = (DateTime<Utc>, Uuid);

impl Store {
    /// The deliveries of an organization after a position, newest first.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn deliveries(
        &self,
        organization: &OrganizationId,
        filter: &DeliveryFilter,
        after: Option<DeliveryPosition>,
        most: u64,
    ) -> Result<Vec<Delivery>, StoreError> {
        use delivery::Column;
        let rows = delivery::Entity::find()
            .filter(Column::Organization.eq(organization.as_str()))
            .apply_if(filter.message_id, |query, id| query.filter(Column::MessageId.eq(id)))
            .apply_if(filter.recipient.as_ref(), |query, id| {
                query.filter(Column::Recipient.eq(id.to_string()))
            })
            .apply_if(filter.state, |query, state| {
                query.filter(Column::State.eq(rows::state_text(state)))
            })
            .apply_if(filter.created_from, |query, time| {
                query.filter(Column::CreatedAt.gte(time))
            })
            .apply_if(filter.created_to, |query, time| {
                query.filter(Column::CreatedAt.lt(time))
            })
            .apply_if(after, |query, (time, id)| query.filter(before(time, id)))
            .order_by_desc(Column::CreatedAt)
            .order_by_desc(Column::Id)
            .limit(most)
            .all(&self.database)
            .await?;
        rows.into_iter().map(rows::delivery).collect()
    }
}

fn before(time: DateTime<Utc>, id: Uuid) -> Condition {
    use delivery::Column;
    // The first part says nothing new, but an index can begin there.
    Condition::all()
        .add(Column::CreatedAt.lte(time))
        .add(Condition::any().add(Column::CreatedAt.lt(time)).add(Column::Id.lt(id)))
}
