use carepost_identity::{OrganizationId, StaffId};

use super::rows;
use crate::{
    domain::{
        directory::{Email, Name, Staff, StaffRole},
        version::StoredVersion,
    },
    store::{
        Store, StoreError,
        row::{get, id as id_column, optional, version, word},
    },
};

const SELECT: &str = "
SELECT s.name AS name, s.email AS email, s.active AS active, s.all_locations AS all_locations,
  s.emr_version AS emr_version, s.import_counter AS import_counter, l.list AS list, l.entry AS entry
FROM staff s LEFT JOIN (
  SELECT 'role' AS list, role AS entry FROM staff_role WHERE organization = $1 AND staff = $2
  UNION ALL
  SELECT 'location', location FROM staff_location WHERE organization = $1 AND staff = $2) AS l ON TRUE
WHERE s.organization = $1 AND s.id = $2 AND s.deleted = FALSE";

impl Store {
    /// A member of staff, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn staff(
        &self,
        organization: &OrganizationId,
        id: &StaffId,
    ) -> Result<Option<(Staff, StoredVersion)>, StoreError> {
        let rows = rows(&self.database, SELECT, organization, id.as_str()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let mut record = Staff {
            id: id.clone(),
            name: Name::stored(get(row, "name")?),
            email: optional(row, "email", Email::stored)?,
            active: get(row, "active")?,
            roles: [].into(),
            all_locations: get(row, "all_locations")?,
            locations: [].into(),
        };
        for row in &rows {
            match get::<Option<String>>(row, "list")?.as_deref() {
                Some("role") => record.roles.insert(word(row, "entry", StaffRole::from_word)?),
                Some(_) => record.locations.insert(id_column(row, "entry")?),
                None => false,
            };
        }
        Ok(Some((record, version(row)?)))
    }
}
