//! One delivery.

use carepost_identity::OrganizationId;
use sea_orm::EntityTrait;
use uuid::Uuid;

use super::{Store, StoreError, entity::delivery, rows};
use crate::domain::Delivery;

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
}
