//! What changed in a mailbox after a revision.
//!
//! No change is ever missed, because revisions of a mailbox become visible in their order. Whoever changes a mailbox takes its
//! next revision by updating the mailbox's row, and so holds the row's lock until the commit, which makes the revision, the
//! stamped participant row and the new mailbox visible at once. The next revision can only be taken after that. So if a
//! statement sees revision n of a mailbox, or a row that is stamped with n, it sees what all smaller ones did: none of them is
//! committed later. A rollback gives its revision back together with the lock.
//!
//! Rows and mailbox are read by one statement, so they are of one moment: its rows with a greater revision, in the order of
//! their revisions, are all that changed up to the last of them; and if there were no more, up to the mailbox's revision. A row
//! that changes again moves to the end, with its later state.

use carepost_identity::{OrganizationId, PersonId};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QueryResult, QuerySelect,
    QueryTrait,
    sea_query::{Alias, Asterisk, Expr, JoinType, Query, SelectStatement},
};

use super::{
    Store, StoreError,
    entity::{conversation, mailbox, participant},
};
use crate::domain::{Conversation, Mailbox};

/// A conversation that changed.
#[derive(Debug)]
pub struct Change {
    /// Its state, for the person.
    pub conversation: Conversation,
    /// All changes up to this revision are told with it and those before it.
    pub position: i64,
}

/// What changed after a revision: a page of it.
#[derive(Debug)]
pub struct Changes {
    /// The mailbox at the moment of the read.
    pub mailbox: Mailbox,
    /// In the order of their positions.
    pub changes: Vec<Change>,
    /// Whether there may be more after the last one. If not, the last position is the mailbox's revision.
    pub more: bool,
}

impl Store {
    /// What changed in a person's mailbox after a revision, the oldest change first, at most so many conversations. Changes of
    /// one conversation that were overtaken by later ones are told as one, at the place of the last.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn changes(
        &self,
        organization: &OrganizationId,
        person: &PersonId,
        after: i64,
        most: u64,
    ) -> Result<Changes, StoreError> {
        let query = page(organization, person, after, most);
        let rows = self.database.query_all(&query).await?;
        let mailbox = rows.first().map(mailbox_of).transpose()?.unwrap_or_default();
        let own: Vec<_> = rows
            .iter()
            .map(row)
            .filter_map(Result::transpose)
            .collect::<Result<_, _>>()?;
        let more = u64::try_from(own.len()).is_ok_and(|length| length >= most);
        let mut positions: Vec<_> = own.iter().map(|(row, _)| row.revision).collect();
        if let Some(last) = positions.last_mut().filter(|_| !more) {
            *last = mailbox.revision;
        }
        let conversations = if own.is_empty() {
            Vec::new()
        } else {
            self.with_parties(&self.database, organization, own).await?
        };
        let changes = conversations.into_iter().zip(positions);
        Ok(Changes {
            mailbox,
            changes: changes
                .map(|(conversation, position)| Change { conversation, position })
                .collect(),
            more,
        })
    }
}

/// One row for each change, each with the mailbox beside it; one with the mailbox alone if there is no change.
fn page(organization: &OrganizationId, person: &PersonId, after: i64, most: u64) -> SelectStatement {
    use participant::Column;
    let changed = participant::Entity::find()
        .find_also_related(conversation::Entity)
        .filter(Column::Organization.eq(organization.as_str()))
        .filter(Column::Person.eq(person.to_string()))
        .filter(Column::Revision.gt(after))
        .order_by_asc(Column::Revision)
        .limit(most)
        .into_query();
    let (changes, order) = (Alias::new("changes"), Alias::new("A_revision"));
    Query::select()
        .expr_as(Expr::col((mailbox::Entity, mailbox::Column::Unread)), "M_unread")
        .expr_as(Expr::col((mailbox::Entity, mailbox::Column::Revision)), "M_revision")
        .column((changes.clone(), Asterisk))
        .from(mailbox::Entity)
        .join_subquery(JoinType::LeftJoin, changed, changes.clone(), Expr::value(true))
        .and_where(mailbox::Column::Organization.eq(organization.as_str()))
        .and_where(mailbox::Column::Person.eq(person.to_string()))
        .order_by((changes, order), sea_orm::Order::Asc)
        .take()
}

fn mailbox_of(row: &QueryResult) -> Result<Mailbox, StoreError> {
    Ok(Mailbox {
        unread: row.try_get("M_", "unread")?,
        revision: row.try_get("M_", "revision")?,
    })
}

fn row(row: &QueryResult) -> Result<Option<(participant::Model, Option<conversation::Model>)>, StoreError> {
    let Some(own) = participant::Model::from_query_result_optional(row, "A_")? else {
        return Ok(None);
    };
    Ok(Some((own, conversation::Model::from_query_result_optional(row, "B_")?)))
}
