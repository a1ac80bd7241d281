//! One delivery, and its attempts.

use carepost_identity::OrganizationId;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    Store, StoreError,
    entity::{attempt, delivery},
    rows,
};
use crate::domain::{AttemptRecord, Delivery};

impl Store {
    /// A delivery of an organization, if there is one with this id.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn delivery(&self, organization: &OrganizationId, id: Uuid) -> Result<Option<Delivery>, StoreError> {
        let found = delivery::Entity::find_by_id((organization.to_string(), id))
            .one(&self.database)
            .await?;
        found.map(rows::delivery).transpose()
    }

    /// The last attempts at a delivery, oldest first.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn attempts(
        &self,
        organization: &OrganizationId,
        of: &Delivery,
        most: u64,
    ) -> Result<Vec<AttemptRecord>, StoreError> {
        let found = attempt::Entity::find()
            .filter(attempt::Column::Organization.eq(organization.as_str()))
            .filter(attempt::Column::Delivery.eq(of.id))
            // One that began after the delivery was read is not in its count.
            .filter(attempt::Column::Number.lte(of.attempt_count))
            .order_by_desc(attempt::Column::Number)
            .limit(most)
            .all(&self.database)
            .await?;
        found.iter().rev().map(|row| rows::attempt(row, of)).collect()
    }
}
