//! What records have to refer to: whether it is there, and stays there until the transaction ends.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DatabaseTransaction, DbBackend};

use super::{StoreError, Write, bulk, import_run, row::get, sql::Sql, write_entries::Purpose};
use crate::domain::{directory::RecordKind, version::Reference};

/// What there is of what records refer to.
pub(super) struct References {
    organization: bool,
    locations: BTreeSet<String>,
}

impl References {
    /// Looks for the organization and these locations, which cannot be deleted then until the transaction ends. References are
    /// locked before the records that have them, and in the order of kinds and ids, so that writers do not wait for each other.
    pub async fn lock(
        tx: &DatabaseTransaction,
        write: Write<'_>,
        purpose: Purpose,
        locations: &[&str],
    ) -> Result<Self, StoreError> {
        let organization = write.organization.as_str();
        let mut found = present(
            tx,
            ("organization", "organization"),
            purpose,
            organization,
            &[organization],
        )
        .await?;
        let mut there = present(tx, ("location", "id"), purpose, organization, locations).await?;
        if purpose == Purpose::Plan {
            found.extend(import_run::would_exist(tx, write, RecordKind::Organization, &[organization]).await?);
            there.extend(import_run::would_exist(tx, write, RecordKind::Location, locations).await?);
        }
        Ok(Self {
            organization: !found.is_empty(),
            locations: there,
        })
    }

    /// What is missing for a record, or for one at a location.
    pub fn missing(&self, location: Option<&str>) -> Option<Reference> {
        if !self.organization {
            return Some(Reference::Organization);
        }
        let is_there = location.is_none_or(|location| self.locations.contains(location));
        (!is_there).then_some(Reference::Location)
    }
}

/// Those of the keys that are there and not deleted.
async fn present(
    tx: &DatabaseTransaction,
    (table, key): (&str, &str),
    purpose: Purpose,
    organization: &str,
    keys: &[&str],
) -> Result<BTreeSet<String>, StoreError> {
    if keys.is_empty() {
        return Ok(BTreeSet::new());
    }
    let backend = tx.get_database_backend();
    let text = format!("SELECT {key} AS found FROM {table} WHERE organization = $1 AND deleted = FALSE AND {key} IN ");
    let mut sql = Sql::new(text, [organization.into()]);
    sql.tuple(bulk::padded(keys).map(|key| (*key).into()));
    sql.push(&format!(" ORDER BY {key}"));
    if backend == DbBackend::Postgres && purpose == Purpose::Write {
        sql.push(" FOR SHARE");
    }
    let rows = tx.query_all_raw(sql.statement(backend)).await?;
    rows.iter().map(|row| get(row, "found")).collect()
}
