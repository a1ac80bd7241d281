//! A person's badge and revision.

use carepost_identity::{OrganizationId, PersonId};
use sea_orm::{ConnectionTrait, EntityTrait, FromQueryResult, Statement};

use super::{Store, StoreError, entity};
use crate::domain::Mailbox;

const CHANGE: &str = "
    INSERT INTO mailbox AS m (organization, person, unread, revision) VALUES ($1, $2, $3, 1)
    ON CONFLICT (organization, person) DO UPDATE SET unread = m.unread + excluded.unread, revision = m.revision + 1
    RETURNING unread, revision";

#[derive(FromQueryResult)]
struct Row {
    unread: i64,
    revision: i64,
}

impl Store {
    /// A person's mailbox. One that nothing ever happened to is empty.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn mailbox(&self, organization: &OrganizationId, person: &PersonId) -> Result<Mailbox, StoreError> {
        read(&self.database, organization, person).await
    }
}

pub(super) async fn read(
    connection: &impl ConnectionTrait,
    organization: &OrganizationId,
    person: &PersonId,
) -> Result<Mailbox, StoreError> {
    let key = (organization.to_string(), person.to_string());
    let row = entity::mailbox::Entity::find_by_id(key).one(connection).await?;
    Ok(row
        .map(|row| Mailbox {
            unread: row.unread,
            revision: row.revision,
        })
        .unwrap_or_default())
}

/// Adds to the badge, and counts the change.
pub(super) async fn change(
    connection: &impl ConnectionTrait,
    organization: &OrganizationId,
    person: &PersonId,
    counted: i64,
) -> Result<Mailbox, StoreError> {
    let values = [organization.as_str().into(), person.to_string().into(), counted.into()];
    let statement = Statement::from_sql_and_values(connection.get_database_backend(), CHANGE, values);
    let row = Row::find_by_statement(statement)
        .one(connection)
        .await?
        .ok_or(StoreError::Corrupt("mailbox"))?;
    Ok(Mailbox {
        unread: row.unread,
        revision: row.revision,
    })
}
