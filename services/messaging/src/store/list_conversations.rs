//! A person's conversations.

use std::collections::HashMap;

use carepost_identity::{OrganizationId, PersonId};
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Statement,
};
use uuid::Uuid;

use super::{
    Store, StoreError,
    entity::{conversation, participant},
    rows,
};
use crate::domain::{Conversation, Preview};

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

/// Which of a person's conversations are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shelf {
    /// Those in the Archived folder, or those in the Active one.
    pub archived: bool,
    /// Only those with unread messages.
    pub unread_only: bool,
}

/// As much of the newest messages as a preview can need.
const NEWEST: &str = "
    SELECT m.conversation_id, m.sender, substr(m.body, 1, 1000) AS body
    FROM conversation c
    JOIN message m ON m.organization = c.organization AND m.conversation_id = c.id AND m.sequence = c.last_sequence";

#[derive(FromQueryResult)]
struct Newest {
    conversation_id: Uuid,
    sender: String,
    body: String,
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
        let own = participant::Entity::find_by_id(key)
            .find_also_related(conversation::Entity)
            .all(&self.database)
            .await?;
        Ok(self.with_parties(&self.database, organization, own).await?.pop())
    }

    /// A person's conversations on a shelf after a position, newest activity first.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn conversations(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        shelf: Shelf,
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
            .find_also_related(conversation::Entity)
            .filter(Column::Organization.eq(organization.as_str()))
            .filter(Column::Person.eq(person.to_string()))
            .filter(Column::Archived.eq(shelf.archived))
            .filter(Condition::all().add_option(shelf.unread_only.then(|| Column::Unread.gt(0))))
            .filter(Condition::all().add_option(after.map(older)))
            .order_by_desc(Column::LastMessageAt)
            .order_by_desc(Column::ConversationId)
            .limit(most)
            .all(&self.database)
            .await?;
        self.with_parties(&self.database, organization, own).await
    }

    /// The conversations of these rows of one person, in their order. A row and its conversation were read in one statement, so
    /// that they are of one moment; who is in a conversation never changes.
    pub(super) async fn with_parties(
        &self,
        connection: &impl ConnectionTrait,
        organization: &OrganizationId,
        own: Vec<(participant::Model, Option<conversation::Model>)>,
    ) -> Result<Vec<Conversation>, StoreError> {
        let ids = own.iter().map(|(row, _)| row.conversation_id);
        let parties = participant::Entity::find()
            .filter(participant::Column::Organization.eq(organization.as_str()))
            .filter(participant::Column::ConversationId.is_in(ids))
            .all(connection)
            .await?;
        let mut previews = self.previews(connection, organization, &own).await?;
        let mut by_conversation: HashMap<_, Vec<_>> = HashMap::new();
        for party in parties {
            by_conversation.entry(party.conversation_id).or_default().push(party);
        }
        own.into_iter()
            .map(|(own, row)| {
                let row = row.ok_or(StoreError::Corrupt("participant"))?;
                let mut parties = by_conversation.remove(&own.conversation_id).unwrap_or_default();
                parties.sort_by(|one, other| one.person.cmp(&other.person));
                let preview = previews.remove(&own.conversation_id);
                rows::conversation(row, parties, &own, preview)
            })
            .collect()
    }

    /// The newest message of each conversation. It can be newer than the row beside it.
    async fn previews(
        &self,
        connection: &impl ConnectionTrait,
        organization: &OrganizationId,
        own: &[(participant::Model, Option<conversation::Model>)],
    ) -> Result<HashMap<Uuid, Preview>, StoreError> {
        if own.is_empty() {
            return Ok(HashMap::new());
        }
        let places: Vec<_> = (0..own.len()).map(|place| format!("${}", place + 2)).collect();
        let sql = format!("{NEWEST} WHERE c.organization = $1 AND c.id IN ({})", places.join(", "));
        let ids = own.iter().map(|(row, _)| row.conversation_id.into());
        let values = std::iter::once(organization.as_str().into()).chain(ids);
        let statement = Statement::from_sql_and_values(connection.get_database_backend(), sql, values);
        let newest = Newest::find_by_statement(statement).all(connection).await?;
        let previews = newest.into_iter().map(|newest| {
            let preview = Preview::of(rows::person(&newest.sender)?, &newest.body);
            Ok((newest.conversation_id, preview))
        });
        previews.collect()
    }
}
