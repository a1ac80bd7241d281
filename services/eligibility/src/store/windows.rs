//! Walks over a table by id, a bounded number of rows at a time: no statement takes the longer, the more there is.

use carepost_identity::OrganizationId;
use sea_orm::ConnectionTrait;

use super::{StoreError, row::get, sql::Sql};

/// How many rows of the table a window has.
const SIZE: usize = 4_096;

/// A walk over an organization's rows of a table.
pub(super) struct Walk<'a> {
    table: &'static str,
    organization: &'a OrganizationId,
    kind: Option<i16>,
    after: String,
    ended: bool,
}

/// A range of ids: after the first, up to the second, which the last window has not.
pub(super) struct Window {
    after: String,
    up_to: Option<String>,
}

impl<'a> Walk<'a> {
    pub fn over(table: &'static str, organization: &'a OrganizationId) -> Self {
        Self {
            table,
            organization,
            kind: None,
            after: String::new(),
            ended: false,
        }
    }

    /// Only the rows of `import_seen` with this kind.
    pub fn of_kind(mut self, kind: i16) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The next window; none at the end. The empty id, which seeds of the organization have, is in the first one.
    pub async fn next(&mut self, connection: &impl ConnectionTrait) -> Result<Option<Window>, StoreError> {
        if self.ended {
            return Ok(None);
        }
        let text = format!("SELECT id FROM {} WHERE organization = $1", self.table);
        let mut sql = Sql::new(text, [self.organization.as_str().into()]);
        if let Some(kind) = self.kind {
            sql.push(" AND kind = ").bind(kind.into());
        }
        sql.push(" AND id > ").bind(self.after.as_str().into());
        sql.push(&format!(" ORDER BY id LIMIT 1 OFFSET {}", SIZE - 1));
        let end = connection
            .query_one_raw(sql.statement(connection.get_database_backend()))
            .await?;
        let up_to: Option<String> = end.as_ref().map(|row| get(row, "id")).transpose()?;
        let after = std::mem::replace(&mut self.after, up_to.clone().unwrap_or_default());
        self.ended = up_to.is_none();
        Ok(Some(Window { after, up_to }))
    }
}

impl Window {
    /// Adds the condition that a column of ids is within.
    pub fn push(&self, sql: &mut Sql, column: &str) {
        if !self.after.is_empty() {
            sql.push(&format!(" AND {column} > ")).bind(self.after.as_str().into());
        }
        if let Some(up_to) = &self.up_to {
            sql.push(&format!(" AND {column} <= ")).bind(up_to.as_str().into());
        }
    }
}
