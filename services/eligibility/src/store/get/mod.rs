//! Reads records as they are kept, tombstones included: one, or a page of them by id. One statement each, so that a record is
//! never seen half replaced.

use carepost_identity::OrganizationId;
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::{
    Store, StoreError,
    row::{get, version},
    sql::Sql,
};
use crate::domain::directory::Kept;

mod chart;
mod location;
mod organization;
mod portal_user;
mod staff;

pub use chart::ChartFilter;
pub use portal_user::PortalUserFilter;
pub use staff::StaffFilter;

/// How many entries of lists a page reads: two records of the longest lists. The record that goes beyond it is read whole, and is
/// the last one of its page.
const MAX_ENTRIES: i64 = 20_000;

/// A page of a list by id (compared bytewise).
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The id after which it begins; empty for the first page.
    pub after: &'a str,
    /// How many records at most; fewer are read where they are very long.
    pub limit: u32,
    /// Whether tombstones are in the list.
    pub show_deleted: bool,
}

/// What was read for a page.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The records, by id.
    pub records: Vec<Kept<T>>,
    /// Whether the page's limit would have let in more, which were not read because these are so long.
    pub cut_short: bool,
}

/// Where records of a kind are read from.
struct Source {
    table: &'static str,
    /// The column of the id.
    key: &'static str,
    /// The columns of the content, without lists. The first is the name, which only a tombstone without a record lacks.
    content: &'static [&'static str],
    /// How many entries the lists of the record `r` have, so that what is joined can be bounded before it is read.
    entries: &'static str,
    /// The columns of the lists, as they are joined.
    lists: &'static str,
    /// Joins the lists to `page`: one row for each entry, and one at least for each record.
    join: &'static str,
}

impl Source {
    /// The beginning of the statement, up to the conditions: `$1` is the organization.
    fn select(&self, organization: &OrganizationId) -> Sql {
        let Self {
            table, key, entries, ..
        } = self;
        let content = self.content.join(", ");
        let text = format!(
            "WITH listed AS (SELECT {key} AS id, {content}, emr_version, import_counter, deleted, updated_at, \
             {entries} AS entries FROM {table} r WHERE organization = $1"
        );
        Sql::new(text, [organization.as_str().into()])
    }

    /// The record with this id.
    fn one(&self, organization: &OrganizationId, id: &str) -> Sql {
        let mut sql = self.select(organization);
        sql.push(&format!(" AND {} = ", self.key)).bind(id.into());
        self.end(sql)
    }

    /// A page of the records that these conditions hold for, each a text with one place and its value.
    fn page(&self, organization: &OrganizationId, page: Page<'_>, conditions: Vec<(&str, Value)>) -> Sql {
        let mut sql = self.select(organization);
        sql.push(&format!(" AND {} > ", self.key)).bind(page.after.into());
        if !page.show_deleted {
            sql.push(" AND deleted = FALSE");
        }
        for (condition, value) in conditions {
            let (before, after) = condition.split_once('?').unwrap_or((condition, ""));
            sql.push(" AND ").push(before).bind(value).push(after);
        }
        sql.push(&format!(" ORDER BY {} LIMIT ", self.key))
            .bind(i64::from(page.limit).into());
        self.end(sql)
    }

    fn end(&self, mut sql: Sql) -> Sql {
        let Self { lists, join, .. } = self;
        sql.push(&format!(
            "), counted AS (SELECT listed.*, COUNT(*) OVER () AS found, \
             CAST(SUM(entries) OVER (ORDER BY id) AS bigint) - entries AS entries_before FROM listed), \
             page AS (SELECT * FROM counted WHERE entries_before < {MAX_ENTRIES}) \
             SELECT page.*{lists} FROM page{join} ORDER BY page.id"
        ));
        sql
    }

    /// Runs a statement. `read` makes a record of its rows, of which there is one at least.
    async fn read<T>(
        &self,
        store: &Store,
        sql: Sql,
        read: fn(&QueryResult, &[QueryResult]) -> Result<T, StoreError>,
    ) -> Result<Listed<T>, StoreError> {
        let statement = sql.statement(store.database.get_database_backend());
        let rows = store.database.query_all_raw(statement).await?;
        let found: i64 = rows.first().map_or(Ok(0), |row| get(row, "found"))?;
        let id = |row: &QueryResult| get::<String>(row, "id").ok();
        let records = rows.chunk_by(|one, next| id(one) == id(next));
        let records: Vec<_> = records.map(|rows| self.kept(rows, read)).collect::<Result<_, _>>()?;
        let cut_short = i64::try_from(records.len()).is_ok_and(|read| read < found);
        Ok(Listed { records, cut_short })
    }

    fn kept<T>(
        &self,
        rows: &[QueryResult],
        read: fn(&QueryResult, &[QueryResult]) -> Result<T, StoreError>,
    ) -> Result<Kept<T>, StoreError> {
        let (Some(row), Some(name)) = (rows.first(), self.content.first()) else {
            return Err(StoreError::Corrupt("record"));
        };
        let never_came = get::<String>(row, name)?.is_empty();
        Ok(Kept {
            id: get(row, "id")?,
            record: if never_came { None } else { Some(read(row, rows)?) },
            version: version(row)?,
            deleted: get(row, "deleted")?,
            updated_at: get(row, "updated_at")?,
        })
    }
}
