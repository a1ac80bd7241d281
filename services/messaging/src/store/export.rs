//! What the law demands to be handed out: conversations as they are stored, whoever reads them.
//!
//! It is for an operator's command against the database (C5), and for no service: nothing here asks who the reader is, and no RPC
//! leads here. Whoever calls it records that in the audit trail first.

use std::{collections::HashMap, fmt};

use carepost_identity::{ChartId, OrganizationId, PersonId, PortalUserId};
use carepost_messaging_migration::Migrator;
use carepost_runtime::{
    DatabaseFault,
    database::{self, DatabaseError},
};
use chrono::{DateTime, Utc};
use sea_orm::{
    AccessMode, ColumnTrait, Condition, DatabaseConnection, DatabaseTransaction, DbBackend, EntityTrait,
    IsolationLevel, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, TransactionTrait,
    sea_query::{Expr, ExprTrait},
};
use uuid::Uuid;

use super::{
    StoreError,
    entity::{conversation, message, participant},
    rows,
};
use crate::domain::{Kind, Regarding};

/// Whose conversations. There is no form for all of an organization, nor for all of a member of staff: those are of many patients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// All that regard a chart, among staff too.
    Chart(ChartId),
    /// All of a portal user, whatever they regard.
    PortalUser(PortalUserId),
    /// Those that regard a chart and have this party.
    ChartWith(ChartId, PersonId),
}

/// Where one is in the order of conversations: when the last one was started, and its id.
pub type Place = (DateTime<Utc>, Uuid);

/// A party with the state of their side.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportedParty {
    /// Who.
    pub person: PersonId,
    /// The copy of their name.
    pub display_name: String,
    /// They have marked the messages up to this one as read.
    pub read_up_to: i64,
    /// Whether they have archived the conversation.
    pub archived: bool,
}

/// A conversation.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportedConversation {
    /// Its id.
    pub id: Uuid,
    /// Which parties it has.
    pub kind: Kind,
    /// What it regards.
    pub regarding: Option<Regarding>,
    /// Its subject; may be empty.
    pub subject: String,
    /// Everybody in it, by id. They have never been others.
    pub parties: Vec<ExportedParty>,
    /// When it was started.
    pub created_at: DateTime<Utc>,
    /// When its newest message was accepted.
    pub last_message_at: DateTime<Utc>,
    /// The number of its newest message; they are numbered from 1 without gaps.
    pub last_number: i64,
}

impl ExportedConversation {
    /// Its place in the order.
    #[must_use]
    pub fn place(&self) -> Place {
        (self.created_at, self.id)
    }
}

/// A message.
#[derive(Clone, PartialEq, Eq)]
pub struct ExportedMessage {
    /// Its id.
    pub id: Uuid,
    /// Its number in the conversation, from 1.
    pub number: i64,
    /// Who wrote it.
    pub sender: PersonId,
    /// The service that relayed their session, if one did.
    pub sent_via: Option<String>,
    /// What it says.
    pub body: String,
    /// When it was accepted.
    pub sent_at: DateTime<Utc>,
}

macro_rules! keep_to_oneself {
    ($($name:ident)*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($name)).finish_non_exhaustive()
            }
        }
    )*};
}

// They hold names or text.
keep_to_oneself!(ExportedParty ExportedConversation ExportedMessage);

/// The database as it was at one moment, to read only. It takes one connection until it is dropped.
#[derive(Debug)]
pub struct Snapshot {
    transaction: DatabaseTransaction,
    organization: OrganizationId,
    schema: String,
}

impl Snapshot {
    /// Takes one. The moment is that of the first read.
    ///
    /// # Errors
    /// If the database does not answer, or its schema is not just the one of this version: what a newer one has added would be
    /// left out without a word.
    pub async fn take(database: &DatabaseConnection, organization: OrganizationId) -> Result<Self, DatabaseError> {
        // A transaction of SQLite sees one moment as it is, and has no such levels.
        let (level, access) = match database.get_database_backend() {
            DbBackend::Sqlite => (None, None),
            _ => (Some(IsolationLevel::RepeatableRead), Some(AccessMode::ReadOnly)),
        };
        let transaction = database.begin_with_config(level, access).await?;
        // The first read, so that the schema is that of the moment.
        let schema = database::version::<Migrator, _>(&transaction).await?;
        Ok(Self {
            transaction,
            organization,
            schema,
        })
    }

    /// The newest migration of the schema.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// The next conversations after a place, in the order in which they were started; at most so many. None are left when none
    /// come.
    ///
    /// # Errors
    /// If the database does not answer, or a row is not what this version writes.
    pub async fn conversations(
        &self,
        selection: &Selection,
        after: Option<Place>,
        most: u64,
    ) -> Result<Vec<ExportedConversation>, StoreError> {
        use conversation::Column;
        let later = |(created_at, id): Place| {
            Expr::tuple([Expr::col(Column::CreatedAt), Expr::col(Column::Id)])
                .gt(Expr::tuple([created_at.into(), id.into()]))
        };
        let found = self
            .selected(selection)
            .filter(Condition::all().add_option(after.map(later)))
            .order_by_asc(Column::CreatedAt)
            .order_by_asc(Column::Id)
            .limit(most)
            .all(&self.transaction)
            .await
            .map_err(DatabaseFault::from)?;
        let mut parties = self.parties(&found).await?;
        let found = found.into_iter().map(|row| {
            let parties = parties.remove(&row.id).unwrap_or_default();
            exported(row, parties)
        });
        found.collect()
    }

    fn selected(&self, selection: &Selection) -> Select<conversation::Entity> {
        let (chart, person) = match selection {
            Selection::Chart(chart) => (Some(chart), None),
            Selection::PortalUser(user) => (None, Some(PersonId::from(user.clone()))),
            Selection::ChartWith(chart, person) => (Some(chart), Some(person.clone())),
        };
        let with = |person: PersonId| {
            let conversations = participant::Entity::find()
                .select_only()
                .column(participant::Column::ConversationId)
                .filter(participant::Column::Organization.eq(self.organization.as_str()))
                .filter(participant::Column::Person.eq(person.to_string()));
            conversation::Column::Id.in_subquery(conversations.into_query())
        };
        let regarding = |chart: &ChartId| conversation::Column::ChartId.eq(chart.as_str());
        let narrower = Condition::all()
            .add_option(chart.map(regarding))
            .add_option(person.map(with));
        conversation::Entity::find()
            .filter(conversation::Column::Organization.eq(self.organization.as_str()))
            .filter(narrower)
    }

    async fn parties(&self, of: &[conversation::Model]) -> Result<HashMap<Uuid, Vec<participant::Model>>, StoreError> {
        use participant::Column;
        let found = participant::Entity::find()
            .filter(Column::Organization.eq(self.organization.as_str()))
            .filter(Column::ConversationId.is_in(of.iter().map(|row| row.id)))
            .order_by_asc(Column::Person)
            .all(&self.transaction)
            .await
            .map_err(DatabaseFault::from)?;
        let mut parties: HashMap<_, Vec<_>> = HashMap::new();
        for row in found {
            parties.entry(row.conversation_id).or_default().push(row);
        }
        Ok(parties)
    }

    /// The next messages of a conversation after a number, oldest first; at most so many. None are left when none come.
    ///
    /// # Errors
    /// If the database does not answer, or a row is not what this version writes.
    pub async fn messages(&self, of: Uuid, after: i64, most: u64) -> Result<Vec<ExportedMessage>, StoreError> {
        use message::Column;
        let found = message::Entity::find()
            .filter(Column::Organization.eq(self.organization.as_str()))
            .filter(Column::ConversationId.eq(of))
            .filter(Column::Sequence.gt(after))
            .order_by_asc(Column::Sequence)
            .limit(most)
            .all(&self.transaction)
            .await
            .map_err(DatabaseFault::from)?;
        let found = found.into_iter().map(|row| {
            Ok(ExportedMessage {
                id: row.id,
                number: row.sequence,
                sender: rows::person(&row.sender)?,
                sent_via: row.sent_via,
                body: row.body,
                sent_at: row.sent_at,
            })
        });
        found.collect()
    }
}

fn exported(row: conversation::Model, parties: Vec<participant::Model>) -> Result<ExportedConversation, StoreError> {
    let party = |row: participant::Model| {
        Ok(ExportedParty {
            person: rows::person(&row.person)?,
            display_name: row.display_name,
            read_up_to: row.last_read,
            archived: row.archived,
        })
    };
    Ok(ExportedConversation {
        id: row.id,
        kind: rows::kind(row.kind)?,
        regarding: rows::regarding(row.chart_id, row.patient_name)?,
        subject: row.subject,
        parties: parties.into_iter().map(party).collect::<Result<_, StoreError>>()?,
        created_at: row.created_at,
        last_message_at: row.last_message_at,
        last_number: row.last_sequence,
    })
}
