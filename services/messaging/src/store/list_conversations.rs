//! A person's conversations.

use std::collections::HashMap;

use carepost_identity::{OrganizationId, PersonId};
use chrono::{DateTime, Utc};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use uuid::Uuid;

use super::{
    Store, StoreError,
    entity::{conversation, participant},
    rows,
};
use crate::domain::Conversation;

/// A place in the list: the conversation that came last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationPosition {
    /// Its newest activity.
    pub last_message_at: DateTime<Utc>,
    /// Its id.
    pub id: Uuid,
}

impl ConversationPosition {
    /// The place of a conversation.
    #[must_use]
    pub fn of(conversation: &Conversation) -> Self {
        Self {
            last_message_at: conversation.last_message_at,
            id: conversation.id,
        }
    }
}

impl Store {
    /// One conversation, if it is the person's.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn conversation(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        id: Uuid,
    ) -> Result<Option<Conversation>, StoreError> {
        let key = (organization.to_string(), id, person.to_string());
        let own = participant::Entity::find_by_id(key).all(&self.database).await?;
        Ok(self.with_parties(organization, own).await?.pop())
    }

    /// A person's conversations after a position, newest activity first.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn conversations(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        after: Option<ConversationPosition>,
        most: u64,
    ) -> Result<Vec<Conversation>, StoreError> {
        use participant::Column;
        let older = |position: ConversationPosition| {
            Condition::any()
                .add(Column::LastMessageAt.lt(position.last_message_at))
                .add(
                    Condition::all()
                        .add(Column::LastMessageAt.eq(position.last_message_at))
                        .add(Column::ConversationId.lt(position.id)),
                )
        };
        let own = participant::Entity::find()
            .filter(Column::Organization.eq(organization.as_str()))
            .filter(Column::Person.eq(person.to_string()))
            .filter(Condition::all().add_option(after.map(older)))
            .order_by_desc(Column::LastMessageAt)
            .order_by_desc(Column::ConversationId)
            .limit(most)
            .all(&self.database)
            .await?;
        self.with_parties(organization, own).await
    }

    /// The conversations of these rows of one person, in their order.
    async fn with_parties(
        &self,
        organization: &OrganizationId,
        own: Vec<participant::Model>,
    ) -> Result<Vec<Conversation>, StoreError> {
        let ids: Vec<_> = own.iter().map(|row| row.conversation_id).collect();
        let conversations = conversation::Entity::find()
            .filter(conversation::Column::Organization.eq(organization.as_str()))
            .filter(conversation::Column::Id.is_in(ids.clone()))
            .all(&self.database)
            .await?;
        let parties = participant::Entity::find()
            .filter(participant::Column::Organization.eq(organization.as_str()))
            .filter(participant::Column::ConversationId.is_in(ids))
            .order_by_asc(participant::Column::Person)
            .all(&self.database)
            .await?;
        let mut conversations: HashMap<_, _> = conversations.into_iter().map(|row| (row.id, row)).collect();
        let mut by_conversation: HashMap<_, Vec<_>> = HashMap::new();
        for party in parties {
            by_conversation.entry(party.conversation_id).or_default().push(party);
        }
        own.into_iter()
            .map(|own| {
                let row = conversations
                    .remove(&own.conversation_id)
                    .ok_or(StoreError::Corrupt("participant"))?;
                let mut parties = by_conversation.remove(&own.conversation_id).unwrap_or_default();
                parties.sort_by(|one, other| one.person.cmp(&other.person));
                // The time of the row that the list is ordered by.
                let row = conversation::Model {
                    last_message_at: own.last_message_at,
                    ..row
                };
                rows::conversation(row, parties, own.unread)
            })
            .collect()
    }
}
