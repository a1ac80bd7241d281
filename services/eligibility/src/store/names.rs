//! Reads the names of persons and charts, all in one statement.

use std::collections::BTreeMap;

use carepost_identity::{ChartId, OrganizationId, PersonId};
use sea_orm::ConnectionTrait;

use super::{Store, StoreError, bulk, row::get, sql::Sql};
use crate::domain::directory::Name;

/// The names that are known.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Of persons.
    pub persons: BTreeMap<PersonId, Name>,
    /// Of charts: the patients'.
    pub charts: BTreeMap<ChartId, Name>,
}

/// A part of the statement: what kind it finds, and how. A tombstone that never was a record has no name.
const STAFF: &str = "SELECT 'staff' AS kind, id, name FROM staff WHERE organization = $1 AND name <> '' AND id IN ";
const PORTAL: &str =
    "SELECT 'portal' AS kind, id, name FROM portal_user WHERE organization = $1 AND name <> '' AND id IN ";
const CHART: &str = "SELECT 'chart' AS kind, id, patient_name AS name FROM chart WHERE organization = $1 AND patient_name <> '' AND id IN ";

impl Store {
    /// The names of these persons and charts, deleted ones included.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn names(
        &self,
        organization: &OrganizationId,
        persons: &[PersonId],
        charts: &[ChartId],
    ) -> Result<Names, StoreError> {
        let mut parts = [(STAFF, Vec::new()), (PORTAL, Vec::new()), (CHART, Vec::new())];
        for person in persons {
            match person {
                PersonId::Staff(id) => parts[0].1.push(id.as_str()),
                PersonId::Portal(id) => parts[1].1.push(id.as_str()),
            }
        }
        parts[2].1.extend(charts.iter().map(ChartId::as_str));
        let mut sql = Sql::new("", [organization.as_str().into()]);
        let mut separator = "";
        for (select, ids) in parts.iter().filter(|(_, ids)| !ids.is_empty()) {
            sql.push(separator).push(select);
            sql.tuple(bulk::padded(ids).map(|id| (*id).into()));
            separator = " UNION ALL ";
        }
        if separator.is_empty() {
            return Ok(Names::default());
        }
        let statement = sql.statement(self.database.get_database_backend());
        let mut names = Names::default();
        for row in &self.database.query_all_raw(statement).await? {
            let (kind, id): (String, String) = (get(row, "kind")?, get(row, "id")?);
            let name = Name::stored(get(row, "name")?);
            let corrupt = |_| StoreError::Corrupt("id");
            if kind == "chart" {
                names.charts.insert(ChartId::parse(id).map_err(corrupt)?, name);
            } else {
                let person = PersonId::parse(&format!("{kind}/{id}")).map_err(corrupt)?;
                names.persons.insert(person, name);
            }
        }
        Ok(names)
    }
}
