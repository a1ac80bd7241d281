//! The messages of a conversation.

use carepost_identity::{OrganizationId, PersonId};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    Store, StoreError,
    entity::{message, participant},
    rows,
};
use crate::domain::Message;

impl Store {
    /// The messages after a sequence, oldest first; none if the conversation is not the person's.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn messages(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        conversation: Uuid,
        after: i64,
        most: u64,
    ) -> Result<Option<Vec<Message>>, StoreError> {
        let key = (organization.to_string(), conversation, person.to_string());
        let Some(own) = participant::Entity::find_by_id(key).one(&self.database).await? else {
            return Ok(None);
        };
        let messages = message::Entity::find()
            .filter(message::Column::Organization.eq(organization.as_str()))
            .filter(message::Column::ConversationId.eq(conversation))
            .filter(message::Column::Sequence.gt(after))
            .order_by_asc(message::Column::Sequence)
            .limit(most)
            .all(&self.database)
            .await?;
        let messages = messages
            .into_iter()
            .map(|row| rows::message(row, person, own.last_read));
        messages.collect::<Result<_, _>>().map(Some)
    }
}
