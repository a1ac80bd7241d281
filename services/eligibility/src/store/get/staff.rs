use carepost_identity::{LocationId, OrganizationId, StaffId};
use sea_orm::{QueryResult, Value};

use super::{Listed, Page, Source};
use crate::{
    domain::directory::{Email, Kept, Name, Staff, StaffRole},
    store::{
        Store, StoreError,
        row::{get, id, optional, word},
    },
};

const SOURCE: Source = Source {
    table: "staff",
    key: "id",
    content: &["name", "email", "active", "all_locations"],
    entries: "(SELECT COUNT(*) FROM staff_location e WHERE e.organization = $1 AND e.staff = r.id)",
    lists: ", l.list, l.entry",
    join: " LEFT JOIN (
  SELECT staff, 'role' AS list, role AS entry FROM staff_role
    WHERE organization = $1 AND staff IN (SELECT id FROM page)
  UNION ALL
  SELECT staff, 'location', location FROM staff_location
    WHERE organization = $1 AND staff IN (SELECT id FROM page)) AS l ON l.staff = page.id",
};

/// Which staff a list holds, by what their records say. Without any of these, all.
#[derive(Clone, Debug, Default)]
pub struct StaffFilter {
    /// Whether they are active.
    pub active: Option<bool>,
    /// A role that they have.
    pub role: Option<StaffRole>,
    /// A location that they reach.
    pub location: Option<LocationId>,
}

impl StaffFilter {
    fn conditions(&self) -> Vec<(&'static str, Value)> {
        let mut conditions: Vec<(&'static str, Value)> = Vec::new();
        if let Some(active) = self.active {
            conditions.push(("active = ?", active.into()));
        }
        if let Some(role) = self.role {
            let has_it =
                "EXISTS (SELECT 1 FROM staff_role s WHERE s.organization = $1 AND s.staff = r.id AND s.role = ?)";
            conditions.push((has_it, role.as_str().into()));
        }
        if let Some(location) = &self.location {
            let reach_it = "(all_locations = TRUE OR EXISTS (SELECT 1 FROM staff_location s
  WHERE s.organization = $1 AND s.staff = r.id AND s.location = ?))";
            conditions.push((reach_it, location.as_str().into()));
        }
        conditions
    }
}

impl Store {
    /// A member of staff, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn staff(&self, organization: &OrganizationId, id: &StaffId) -> Result<Option<Kept<Staff>>, StoreError> {
        let sql = SOURCE.one(organization, id.as_str());
        Ok(SOURCE.read(self, sql, read).await?.records.pop())
    }

    /// A page of staff.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn list_staff(
        &self,
        organization: &OrganizationId,
        page: Page<'_>,
        filter: &StaffFilter,
    ) -> Result<Listed<Staff>, StoreError> {
        let sql = SOURCE.page(organization, page, filter.conditions());
        SOURCE.read(self, sql, read).await
    }
}

fn read(row: &QueryResult, rows: &[QueryResult]) -> Result<Staff, StoreError> {
    let mut record = Staff {
        id: id(row, "id")?,
        name: Name::stored(get(row, "name")?),
        email: optional(row, "email", Email::stored)?,
        active: get(row, "active")?,
        roles: [].into(),
        all_locations: get(row, "all_locations")?,
        locations: [].into(),
    };
    for row in rows {
        match get::<Option<String>>(row, "list")?.as_deref() {
            Some("role") => record.roles.insert(word(row, "entry", StaffRole::from_word)?),
            Some(_) => record.locations.insert(id(row, "entry")?),
            None => false,
        };
    }
    Ok(record)
}
