use carepost_identity::{ChartId, OrganizationId, StaffId};

use super::rows;
use crate::{
    domain::{
        directory::{Chart, Name, PatientId, WebUrl},
        version::StoredVersion,
    },
    store::{
        Store, StoreError,
        row::{get, id as id_column, optional, version},
    },
};

const SELECT: &str = "
SELECT c.patient_id AS patient_id, c.patient_name AS patient_name, c.location AS location, c.url AS url,
  c.emr_version AS emr_version, c.import_counter AS import_counter,
  cs.staff AS staff, cs.care_team AS care_team, cs.barred AS barred
FROM chart c LEFT JOIN chart_staff cs ON cs.organization = c.organization AND cs.chart = c.id
WHERE c.organization = $1 AND c.id = $2 AND c.deleted = FALSE";

impl Store {
    /// A chart, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn chart(
        &self,
        organization: &OrganizationId,
        id: &ChartId,
    ) -> Result<Option<(Chart, StoredVersion)>, StoreError> {
        let rows = rows(&self.database, SELECT, organization, id.as_str()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut record = Chart {
            id: id.clone(),
            patient_id: PatientId::stored(get(row, "patient_id")?),
            patient_name: Name::stored(get(row, "patient_name")?),
            location: id_column(row, "location")?,
            care_team: [].into(),
            barred: [].into(),
            url: optional(row, "url", WebUrl::stored)?,
        };
        for row in &rows {
            if get::<Option<String>>(row, "staff")?.is_none() {
                continue;
            }
            let staff: StaffId = id_column(row, "staff")?;
            if get(row, "care_team")? {
                record.care_team.insert(staff.clone());
            }
            if get(row, "barred")? {
                record.barred.insert(staff);
            }
        }
        Ok(Some((record, version(row)?)))
    }
}
