//! Reads what a person may start, in one statement: the facts of a start, and where the charts are.

use carepost_identity::{ChartId, OrganizationId, PortalUserId, StaffId};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::{
    Store, StoreError,
    facts::{self, FactRow},
    row::{get, id, optional},
    sql::Sql,
};
use crate::domain::{
    decision::{ChartPlace, Facts, Regardable},
    directory::{Country, Name},
};

const COLUMNS: &str = "
place.name AS place_name, CASE WHEN place.country = '' THEN o.country ELSE place.country END AS place_country,
COALESCE(o.country, '') AS organization_country";

const JOINS: &str = "
LEFT JOIN chart at ON at.organization = $1 AND at.id = f.chart_id AND at.deleted = FALSE
LEFT JOIN location place ON place.organization = $1 AND place.id = at.location
LEFT JOIN organization o ON o.organization = $1 AND o.deleted = FALSE";

/// One row: `$2` is the member of staff, `$3` the chart, if there is one.
const OF_STAFF: &str = "
SELECT CAST(0 AS bigint), CAST($2 AS text), CAST(NULL AS text), CAST($3 AS text), CAST($3 AS text) IS NULL";

/// Row 0 is the portal user alone, `$2`; then one for each chart to which they have a confirmed connection, with one of the staff
/// whom a start is allowed to, as far as it is up to the staff. Like the candidates of a list, from the care team or from those who
/// have the role, but that it must not be somebody who is barred: one candidate has to do.
const OF_PORTAL_USER: &str = "
SELECT CAST(0 AS bigint), CAST(NULL AS text), CAST($2 AS text), CAST(NULL AS text), FALSE
UNION ALL
SELECT row_number() OVER (ORDER BY mine.chart),
  CASE mine.audience
    WHEN 'care_team_only' THEN (SELECT s.id
      FROM chart_staff cs JOIN staff s ON s.organization = $1 AND s.id = cs.staff
      WHERE cs.organization = $1 AND cs.chart = mine.chart AND cs.care_team = TRUE AND cs.barred = FALSE
        AND s.active = TRUE AND s.deleted = FALSE
        AND (s.all_locations = TRUE OR EXISTS (SELECT 1 FROM staff_location sl
          WHERE sl.organization = $1 AND sl.staff = s.id AND sl.location = mine.location))
      LIMIT 1)
    WHEN 'selected_users' THEN (SELECT s.id
      FROM staff_role r JOIN staff s ON s.organization = $1 AND s.id = r.staff
      WHERE r.organization = $1 AND r.role = 'available_for_portal_messages'
        AND s.active = TRUE AND s.deleted = FALSE
        AND (s.all_locations = TRUE OR EXISTS (SELECT 1 FROM staff_location sl
          WHERE sl.organization = $1 AND sl.staff = s.id AND sl.location = mine.location))
        AND NOT EXISTS (SELECT 1 FROM chart_staff cs
          WHERE cs.organization = $1 AND cs.chart = mine.chart AND cs.staff = s.id AND cs.barred = TRUE)
      LIMIT 1)
  END, $2, mine.chart, FALSE
FROM (SELECT k.chart AS chart, c.location AS location,
    CASE WHEN own.organization IS NULL THEN general.audience ELSE own.audience END AS audience
  FROM connection k
  JOIN chart c ON c.organization = $1 AND c.id = k.chart AND c.deleted = FALSE
  LEFT JOIN messaging_setting own ON own.organization = $1 AND own.location = c.location
  LEFT JOIN messaging_setting general ON general.organization = $1 AND general.location = ''
  WHERE k.organization = $1 AND k.portal_user = $2 AND k.status = 'confirmed') AS mine";

/// What is known of a member of staff who wants to write.
#[derive(Clone, Debug)]
pub struct StaffCompose {
    /// The facts of a start, without a recipient.
    pub facts: Facts,
    /// Where the chart is, if there is one.
    pub place: Option<ChartPlace>,
    /// The organization's country, if it is known.
    pub country: Option<Country>,
}

/// What is known of a portal user who wants to write.
#[derive(Clone, Debug)]
pub struct PortalUserCompose {
    /// Their charts, each with a candidate.
    pub connected: Vec<Regardable>,
    /// The organization's country, if it is known.
    pub country: Option<Country>,
}

impl Store {
    /// What a member of staff may start with.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn staff_compose(
        &self,
        organization: &OrganizationId,
        staff: &StaffId,
        chart: Option<&ChartId>,
    ) -> Result<StaffCompose, StoreError> {
        let values = [staff.as_str().into(), chart.map(|id| id.as_str()).into()];
        let rows = self.compose(organization, OF_STAFF, values).await?;
        let row = rows.first().ok_or(StoreError::Corrupt("row of facts"))?;
        let mut facts = Facts::default();
        FactRow::read(row)?.add_to(&mut facts);
        Ok(StaffCompose {
            facts,
            place: place(row)?,
            country: optional(row, "organization_country", Country::stored)?,
        })
    }

    /// What a portal user may start with.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn portal_user_compose(
        &self,
        organization: &OrganizationId,
        portal_user: &PortalUserId,
    ) -> Result<PortalUserCompose, StoreError> {
        let values = [portal_user.as_str().into()];
        let rows = self.compose(organization, OF_PORTAL_USER, values).await?;
        let (alone, charts) = rows.split_first().ok_or(StoreError::Corrupt("row of facts"))?;
        Ok(PortalUserCompose {
            connected: charts.iter().map(regardable).collect::<Result<_, _>>()?,
            country: optional(alone, "organization_country", Country::stored)?,
        })
    }

    async fn compose(
        &self,
        organization: &OrganizationId,
        select: &str,
        values: impl IntoIterator<Item = Value>,
    ) -> Result<Vec<QueryResult>, StoreError> {
        let source = |sql: &mut Sql| {
            sql.hold(values).push(select);
        };
        let sql = facts::with(COLUMNS, JOINS, source, organization.as_str());
        let statement = sql.statement(self.database.get_database_backend());
        Ok(self.database.query_all_raw(statement).await?)
    }
}

fn regardable(row: &QueryResult) -> Result<Regardable, StoreError> {
    let facts_row = FactRow::read(row)?;
    let candidate = facts_row.staff.as_ref().map(|(id, ..)| id.clone());
    let mut facts = Facts::default();
    facts_row.add_to(&mut facts);
    Ok(Regardable {
        chart: id(row, "chart_id")?,
        place: place(row)?.ok_or(StoreError::Corrupt("location of a chart"))?,
        candidate,
        facts,
    })
}

fn place(row: &QueryResult) -> Result<Option<ChartPlace>, StoreError> {
    let Some(name) = get::<Option<String>>(row, "place_name")? else {
        return Ok(None);
    };
    Ok(Some(ChartPlace {
        location_name: Name::stored(name),
        country: Country::stored(get(row, "place_country")?),
    }))
}
