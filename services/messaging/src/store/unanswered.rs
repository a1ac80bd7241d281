//! Portal conversations that wait for an answer. The table has a row for each; triggers keep it as messages are written
//! (`m0007_unanswered`).

use carepost_identity::{OrganizationId, PersonId};
use chrono::{DateTime, Utc};
use sea_orm::{FromQueryResult, Statement};

use super::{Store, StoreError, rows};
use crate::domain::{Bands, Unanswered, Waiting};

/// The most members of staff that are read. What is left out is in the totals.
const MOST_STAFF: i64 = 10_000;

/// The counts of the bands, as columns `band_0` to `band_4`. $1 to $4: the edges between them, latest first.
macro_rules! bands {
    () => {
        "COALESCE(SUM(CASE WHEN since > $1 THEN 1 ELSE 0 END), 0) AS band_0,
         COALESCE(SUM(CASE WHEN since <= $1 AND since > $2 THEN 1 ELSE 0 END), 0) AS band_1,
         COALESCE(SUM(CASE WHEN since <= $2 AND since > $3 THEN 1 ELSE 0 END), 0) AS band_2,
         COALESCE(SUM(CASE WHEN since <= $3 AND since > $4 THEN 1 ELSE 0 END), 0) AS band_3,
         COALESCE(SUM(CASE WHEN since <= $4 THEN 1 ELSE 0 END), 0) AS band_4"
    };
}

/// $5: the organization. $6: who waits since then or before. $7: the most members of staff.
///
/// The index `unanswered_by_staff` has all of it. Windows are over all groups, whatever the limit leaves out.
pub(super) const BY_STAFF: &str = concat!(
    "WITH waiting AS (
        SELECT staff, MIN(since) AS since, ",
    bands!(),
    " FROM unanswered WHERE organization = $5 AND since <= $6 GROUP BY staff
     )
     SELECT staff, since, band_0, band_1, band_2, band_3, band_4, COUNT(*) OVER () AS staff_count,
            CAST(SUM(band_0) OVER () AS BIGINT) AS total_0, CAST(SUM(band_1) OVER () AS BIGINT) AS total_1,
            CAST(SUM(band_2) OVER () AS BIGINT) AS total_2, CAST(SUM(band_3) OVER () AS BIGINT) AS total_3,
            CAST(SUM(band_4) OVER () AS BIGINT) AS total_4
     FROM waiting ORDER BY since, staff LIMIT $7"
);

const BY_AGE: &str = concat!("SELECT ", bands!(), " FROM unanswered");

#[derive(FromQueryResult)]
struct Row {
    staff: String,
    since: DateTime<Utc>,
    #[sea_orm(nested)]
    bands: Counts,
    staff_count: i64,
    total_0: i64,
    total_1: i64,
    total_2: i64,
    total_3: i64,
    total_4: i64,
}

#[derive(FromQueryResult)]
struct Counts {
    band_0: i64,
    band_1: i64,
    band_2: i64,
    band_3: i64,
    band_4: i64,
}

impl Counts {
    fn bands(&self) -> Bands {
        Bands::of([self.band_0, self.band_1, self.band_2, self.band_3, self.band_4])
    }
}

impl Row {
    fn total(&self) -> Bands {
        Bands::of([self.total_0, self.total_1, self.total_2, self.total_3, self.total_4])
    }

    fn waiting(&self) -> Result<Waiting, StoreError> {
        let PersonId::Staff(staff) = rows::person(&self.staff)? else {
            return Err(StoreError::Corrupt("person"));
        };
        Ok(Waiting {
            staff,
            since: self.since,
            bands: self.bands.bands(),
        })
    }
}

impl Store {
    /// What waits in an organization since a moment or before, by member of staff: of the 10,000 with the longest waits.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn unanswered(
        &self,
        organization: &OrganizationId,
        now: DateTime<Utc>,
        since_or_before: DateTime<Utc>,
    ) -> Result<Unanswered, StoreError> {
        let edges = Bands::edges(now).map(Into::into);
        let more = [organization.as_str().into(), since_or_before.into(), MOST_STAFF.into()];
        let values = edges.into_iter().chain(more).collect::<Vec<_>>();
        let statement = Statement::from_sql_and_values(self.database.get_database_backend(), BY_STAFF, values);
        let rows = Row::find_by_statement(statement).all(&self.database).await?;
        Ok(Unanswered {
            by_staff: rows.iter().map(Row::waiting).collect::<Result<_, _>>()?,
            staff_count: rows.first().map_or(0, |row| row.staff_count),
            total: rows.first().map(Row::total).unwrap_or_default(),
        })
    }

    /// What waits in all organizations, for a gauge. It reads all that waits, and nothing else: ask it once a minute or so.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn unanswered_by_age(&self, now: DateTime<Utc>) -> Result<Bands, StoreError> {
        let edges = Bands::edges(now).map(Into::into);
        let statement = Statement::from_sql_and_values(self.database.get_database_backend(), BY_AGE, edges);
        let counts = Counts::find_by_statement(statement).one(&self.database).await?;
        Ok(counts.map_or_else(Bands::default, |counts| counts.bands()))
    }
}
