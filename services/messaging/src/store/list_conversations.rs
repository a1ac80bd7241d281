//! A person's conversations.

use std::collections::HashMap;

use carepost_identity::{OrganizationId, PersonId};
use chrono::{DateTime, Utc};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, Func},
};
use uuid::Uuid;

use super::{
    Store, StoreError,
    entity::{conversation, message, participant},
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

/// The beginning of a message.
#[derive(FromQueryResult)]
struct Newest {
    conversation_id: Uuid,
    sender: String,
    beginning: String,
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
        // Compared as a row, so that the index leads to the position, however far down the list it is.
        let older = |position: ConversationPosition| {
            let place = [Column::LastMessageAt, Column::ConversationId];
            Expr::tuple(place.map(|column| Expr::col((participant::Entity, column))))
                .lt(Expr::tuple([position.last_message_at.into(), position.id.into()]))
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
    /// that they are of one moment; who is in a conversation never changes, nor does a message.
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

    /// What was the newest message of each conversation when its row was read.
    async fn previews(
        &self,
        connection: &impl ConnectionTrait,
        organization: &OrganizationId,
        own: &[(participant::Model, Option<conversation::Model>)],
    ) -> Result<HashMap<Uuid, Preview>, StoreError> {
        use message::Column;
        let rows = own.iter().filter_map(|(_, row)| row.as_ref());
        let newest = rows.fold(Condition::any(), |any, row| {
            let last = Column::Sequence.eq(row.last_sequence);
            any.add(Column::ConversationId.eq(row.id).and(last))
        });
        if newest.is_empty() {
            return Ok(HashMap::new());
        }
        let beginning = Func::cust("substr").args([Expr::col(Column::Body), 1.into(), Preview::ENOUGH.into()]);
        let found = message::Entity::find()
            .select_only()
            .columns([Column::ConversationId, Column::Sender])
            .expr_as(beginning, "beginning")
            .filter(Column::Organization.eq(organization.as_str()))
            .filter(newest)
            .into_model::<Newest>()
            .all(connection)
            .await?;
        let previews = found.into_iter().map(|newest| {
            let preview = Preview::of(rows::person(&newest.sender)?, &newest.beginning);
            Ok((newest.conversation_id, preview))
        });
        previews.collect()
    }
}
