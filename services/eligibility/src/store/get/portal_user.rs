use carepost_identity::{ChartId, OrganizationId, PortalUserId};
use sea_orm::{QueryResult, Value};

use super::{Listed, Page, Source};
use crate::{
    domain::directory::{
        AccountStatus, Connection, ConnectionStatus, Email, Kept, Locale, Name, PortalUser, Relationship,
    },
    store::{
        Store, StoreError,
        row::{get, id, optional, word},
    },
};

const SOURCE: Source = Source {
    table: "portal_user",
    key: "id",
    content: &["name", "email", "status", "locale"],
    entries: "(SELECT COUNT(*) FROM connection e WHERE e.organization = $1 AND e.portal_user = r.id)",
    lists: ", k.chart, k.relationship, k.status AS connection_status",
    join: " LEFT JOIN connection k ON k.organization = $1 AND k.portal_user = page.id",
};

/// Which portal users a list holds, by what their records say. Without any of these, all.
#[derive(Clone, Debug, Default)]
pub struct PortalUserFilter {
    /// The state of the account.
    pub status: Option<AccountStatus>,
    /// A chart that they have a connection to, confirmed or not.
    pub chart: Option<ChartId>,
}

impl PortalUserFilter {
    fn conditions(&self) -> Vec<(&'static str, Value)> {
        let mut conditions: Vec<(&'static str, Value)> = Vec::new();
        if let Some(status) = self.status {
            conditions.push(("status = ?", status.as_str().into()));
        }
        if let Some(chart) = &self.chart {
            let connected = "EXISTS (SELECT 1 FROM connection s
  WHERE s.organization = $1 AND s.portal_user = r.id AND s.chart = ?)";
            conditions.push((connected, chart.as_str().into()));
        }
        conditions
    }
}

impl Store {
    /// A portal user, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn portal_user(
        &self,
        organization: &OrganizationId,
        id: &PortalUserId,
    ) -> Result<Option<Kept<PortalUser>>, StoreError> {
        let sql = SOURCE.one(organization, id.as_str());
        Ok(SOURCE.read(self, sql, read).await?.records.pop())
    }

    /// A page of portal users.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn portal_users(
        &self,
        organization: &OrganizationId,
        page: Page<'_>,
        filter: &PortalUserFilter,
    ) -> Result<Listed<PortalUser>, StoreError> {
        let sql = SOURCE.page(organization, page, filter.conditions());
        SOURCE.read(self, sql, read).await
    }
}

fn read(row: &QueryResult, rows: &[QueryResult]) -> Result<PortalUser, StoreError> {
    let mut record = PortalUser {
        id: id(row, "id")?,
        name: Name::stored(get(row, "name")?),
        email: optional(row, "email", Email::stored)?,
        status: word(row, "status", AccountStatus::from_word)?,
        connections: [].into(),
        locale: optional(row, "locale", Locale::stored)?,
    };
    for row in rows {
        if get::<Option<String>>(row, "chart")?.is_none() {
            continue;
        }
        let connection = Connection {
            relationship: word(row, "relationship", Relationship::from_word)?,
            status: word(row, "connection_status", ConnectionStatus::from_word)?,
        };
        record.connections.insert(id(row, "chart")?, connection);
    }
    Ok(record)
}
