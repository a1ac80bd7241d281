//! A span of the trail, in the order of time.

use std::collections::VecDeque;

use carepost_runtime::DatabaseFault;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use uuid::Uuid;

use crate::{
    record::Kept,
    store::{self, Failed, SELECT},
    verify::organizations_of,
};

/// How many records of an organization are read at once.
const PAGE: usize = 256;

/// Which records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Of one organization; none: of all, and of calls of which none is known.
    pub organization: Option<String>,
    /// Not before this.
    pub from: DateTime<Utc>,
    /// Before this.
    pub to: DateTime<Utc>,
}

/// The records of a span, in the order of their times, one after the other. It reads a page at a time.
#[derive(Debug)]
pub struct Export<'a> {
    database: &'a DatabaseConnection,
    to: DateTime<Utc>,
    organizations: Vec<Cursor>,
}

/// Where the export is in the trail of one organization.
#[derive(Debug)]
struct Cursor {
    organization: String,
    page: VecDeque<Kept>,
    /// The last record that was read; none if there is no more.
    after: Option<(DateTime<Utc>, Uuid)>,
}

impl<'a> Export<'a> {
    /// Begins to export.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn begin(database: &'a DatabaseConnection, span: Span) -> Result<Self, DatabaseFault> {
        let organizations = match span.organization {
            Some(organization) => vec![organization],
            None => organizations_of(database, "audit_record").await?,
        };
        let cursor = |organization| Cursor {
            organization,
            page: VecDeque::new(),
            // No record has the nil id.
            after: Some((span.from, Uuid::nil())),
        };
        Ok(Self {
            database,
            to: span.to,
            organizations: organizations.into_iter().map(cursor).collect(),
        })
    }

    /// The next record; none behind the last one.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn next(&mut self) -> Result<Option<Kept>, DatabaseFault> {
        for cursor in &mut self.organizations {
            if cursor.page.is_empty() {
                cursor.read(self.database, self.to).await?;
            }
        }
        self.organizations.retain(|cursor| !cursor.page.is_empty());
        let first = self.organizations.iter_mut().min_by_key(|cursor| {
            let first = cursor.page.front();
            first.map(|kept| (kept.record.recorded_at, kept.record.id))
        });
        Ok(first.and_then(|cursor| cursor.page.pop_front()))
    }
}

impl Cursor {
    async fn read(&mut self, database: &DatabaseConnection, to: DateTime<Utc>) -> Result<(), Failed> {
        let Some((at, id)) = self.after else {
            return Ok(());
        };
        let sql = format!(
            "{SELECT} WHERE organization = $1 AND (recorded_at, id) > ($2, $3) AND recorded_at < $4 \
             ORDER BY recorded_at, id LIMIT {PAGE}"
        );
        let values = [self.organization.as_str().into(), at.into(), id.into(), to.into()];
        let statement = Statement::from_sql_and_values(database.get_database_backend(), sql, values);
        for row in database.query_all_raw(statement).await? {
            self.page.push_back(store::kept(&row)?);
        }
        let last = self.page.back().filter(|_| self.page.len() == PAGE);
        self.after = last.map(|kept| (kept.record.recorded_at, kept.record.id));
        Ok(())
    }
}
