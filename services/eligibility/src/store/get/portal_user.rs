use carepost_identity::{OrganizationId, PortalUserId};

use super::rows;
use crate::{
    domain::{
        directory::{AccountStatus, Connection, ConnectionStatus, Email, Locale, Name, PortalUser, Relationship},
        version::StoredVersion,
    },
    store::{
        Store, StoreError,
        row::{get, id as id_column, optional, version, word},
    },
};

const SELECT: &str = "
SELECT u.name AS name, u.email AS email, u.status AS status, u.locale AS locale,
  u.emr_version AS emr_version, u.import_counter AS import_counter,
  k.chart AS chart, k.relationship AS relationship, k.status AS connection_status
FROM portal_user u LEFT JOIN connection k ON k.organization = u.organization AND k.portal_user = u.id
WHERE u.organization = $1 AND u.id = $2 AND u.deleted = FALSE";

impl Store {
    /// A portal user, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn portal_user(
        &self,
        organization: &OrganizationId,
        id: &PortalUserId,
    ) -> Result<Option<(PortalUser, StoredVersion)>, StoreError> {
        let rows = rows(&self.database, SELECT, organization, id.as_str()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut record = PortalUser {
            id: id.clone(),
            name: Name::stored(get(row, "name")?),
            email: optional(row, "email", Email::stored)?,
            status: word(row, "status", AccountStatus::from_word)?,
            connections: [].into(),
            locale: optional(row, "locale", Locale::stored)?,
        };
        for row in &rows {
            if get::<Option<String>>(row, "chart")?.is_none() {
                continue;
            }
            let connection = Connection {
                relationship: word(row, "relationship", Relationship::from_word)?,
                status: word(row, "connection_status", ConnectionStatus::from_word)?,
            };
            record.connections.insert(id_column(row, "chart")?, connection);
        }
        Ok(Some((record, version(row)?)))
    }
}
