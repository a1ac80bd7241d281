use carepost_identity::{ChartId, LocationId, OrganizationId, StaffId};
use sea_orm::{QueryResult, Value};

use super::{Listed, Page, Source};
use crate::{
    domain::directory::{Chart, Kept, Name, PatientId, WebUrl},
    store::{
        Store, StoreError,
        row::{get, id, optional},
    },
};

const SOURCE: Source = Source {
    table: "chart",
    key: "id",
    content: &["patient_name", "patient_id", "location", "url"],
    entries: "(SELECT COUNT(*) FROM chart_staff e WHERE e.organization = $1 AND e.chart = r.id)",
    lists: ", cs.staff, cs.care_team, cs.barred",
    join: " LEFT JOIN chart_staff cs ON cs.organization = $1 AND cs.chart = page.id",
};

/// Which charts a list holds, by what their records say. Without any of these, all.
#[derive(Clone, Debug, Default)]
pub struct ChartFilter {
    /// Where they are.
    pub location: Option<LocationId>,
    /// Whose they are.
    pub patient: Option<PatientId>,
    /// Somebody on the care team.
    pub care_team_member: Option<StaffId>,
}

impl ChartFilter {
    fn conditions(&self) -> Vec<(&'static str, Value)> {
        let mut conditions: Vec<(&'static str, Value)> = Vec::new();
        if let Some(location) = &self.location {
            conditions.push(("location = ?", location.as_str().into()));
        }
        if let Some(patient) = &self.patient {
            conditions.push(("patient_id = ?", patient.as_str().into()));
        }
        if let Some(member) = &self.care_team_member {
            let on_it = "EXISTS (SELECT 1 FROM chart_staff s
  WHERE s.organization = $1 AND s.chart = r.id AND s.staff = ? AND s.care_team = TRUE)";
            conditions.push((on_it, member.as_str().into()));
        }
        conditions
    }
}

impl Store {
    /// A chart, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn chart(&self, organization: &OrganizationId, id: &ChartId) -> Result<Option<Kept<Chart>>, StoreError> {
        let sql = SOURCE.one(organization, id.as_str());
        Ok(SOURCE.read(self, sql, read).await?.records.pop())
    }

    /// A page of charts.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn charts(
        &self,
        organization: &OrganizationId,
        page: Page<'_>,
        filter: &ChartFilter,
    ) -> Result<Listed<Chart>, StoreError> {
        let sql = SOURCE.page(organization, page, filter.conditions());
        SOURCE.read(self, sql, read).await
    }
}

fn read(row: &QueryResult, rows: &[QueryResult]) -> Result<Chart, StoreError> {
    let mut record = Chart {
        id: id(row, "id")?,
        patient_id: PatientId::stored(get(row, "patient_id")?),
        patient_name: Name::stored(get(row, "patient_name")?),
        location: id(row, "location")?,
        care_team: [].into(),
        barred: [].into(),
        url: optional(row, "url", WebUrl::stored)?,
    };
    for row in rows {
        if get::<Option<String>>(row, "staff")?.is_none() {
            continue;
        }
        let staff: StaffId = id(row, "staff")?;
        if get(row, "care_team")? {
            record.care_team.insert(staff.clone());
        }
        if get(row, "barred")? {
            record.barred.insert(staff);
        }
    }
    Ok(record)
}
