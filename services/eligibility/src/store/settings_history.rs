//! The history of settings and brands (S4): written by the transaction that changes them, never changed, listed newest first.

use carepost_identity::{Actor, LocationId, OrganizationId};
use carepost_runtime::Ids;
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DatabaseTransaction, QueryResult};
use uuid::Uuid;

use super::{
    Store, StoreError, Write, bulk,
    row::get,
    settings::{ALLOWED, Told, asked},
    settings_rows::Setting,
    sql::Sql,
};
use crate::domain::directory::{Brand, Changed, ChangesOf, Messaging, SettingChange, SettingsRefusal};

const COLUMNS: &[&str] = &[
    "organization",
    "id",
    "kind",
    "location",
    "changed_at",
    "changed_by",
    "relayed_by",
    "seed",
    "set_before",
    "set_after",
];

/// A location that was deleted has its history still.
const LIST: &str = "
  o.organization IS NOT NULL AS organization_known, ($2 = '' OR l.id IS NOT NULL) AS place_known,
  h.id AS id, h.kind AS kind, h.location AS location, h.changed_at AS changed_at, h.changed_by AS changed_by,
  h.relayed_by AS relayed_by, h.seed AS seed, h.set_before AS set_before, h.set_after AS set_after
FROM (SELECT 1 AS one) AS one
LEFT JOIN organization o ON o.organization = $1
LEFT JOIN location l ON l.organization = $1 AND l.id = $2
LEFT JOIN setting_change h ON h.organization = $1";

/// A change to be kept.
pub(super) struct Kept<'a, T> {
    pub location: &'a str,
    pub before: Option<&'a T>,
    pub after: Option<&'a T>,
    pub seed: bool,
}

/// Keeps changes of one kind.
pub(super) async fn keep<T: Setting>(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    changes: &[Kept<'_, T>],
) -> Result<(), StoreError> {
    let (by, relayed_by) = who(write.actor);
    let rows = changes.iter().map(|change| {
        Ok(vec![
            write.organization.as_str().into(),
            Ids.next(write.now).into(),
            T::WORD.into(),
            change.location.into(),
            write.now.into(),
            by.as_str().into(),
            relayed_by.into(),
            change.seed.into(),
            change.before.map(Setting::to_json).transpose()?.into(),
            change.after.map(Setting::to_json).transpose()?.into(),
        ])
    });
    let rows = rows.collect::<Result<Vec<_>, StoreError>>()?;
    bulk::insert(tx, "setting_change", COLUMNS, &rows, "").await?;
    Ok(())
}

fn who(actor: &Actor) -> (String, Option<&str>) {
    match actor {
        Actor::Person(person) => (person.to_string(), None),
        Actor::OnBehalf { service, person } => (person.to_string(), Some(service.as_str())),
        Actor::Service(service) => (format!("service/{service}"), None),
    }
}

/// Where a change is in the list: its time, and its id.
pub type ChangePosition = (DateTime<Utc>, Uuid);

impl Store {
    /// The changes before a position, newest first.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn setting_changes(
        &self,
        organization: &OrganizationId,
        actor: &Actor,
        of: &ChangesOf,
        before: Option<ChangePosition>,
        limit: u32,
    ) -> Result<Told<Vec<SettingChange>>, StoreError> {
        let place = match of {
            ChangesOf::Location(id) => id.as_str(),
            ChangesOf::Everything | ChangesOf::General => "",
        };
        let mut sql = Sql::new(format!("SELECT {ALLOWED},{LIST}"), asked(organization, actor, place));
        if *of != ChangesOf::Everything {
            sql.push(" AND h.location = $2");
        }
        if let Some((time, id)) = before {
            sql.push(" AND (h.changed_at, h.id) < ").tuple([time.into(), id.into()]);
        }
        sql.push(" ORDER BY h.changed_at DESC, h.id DESC LIMIT ")
            .bind(i64::from(limit).into());
        let rows = self
            .database
            .query_all_raw(sql.statement(self.database.get_database_backend()))
            .await?;
        // There is one row at least: without a change, it tells only who may.
        let first = rows.first().ok_or(StoreError::Corrupt("row of settings"))?;
        if let Some(refusal) = refusal(first)? {
            return Ok(Err(refusal));
        }
        let changes = rows.iter().filter_map(|row| read(row).transpose());
        changes.collect::<Result<_, _>>().map(Ok)
    }
}

fn refusal(row: &QueryResult) -> Result<Option<SettingsRefusal>, StoreError> {
    Ok(if !get::<bool>(row, "allowed")? {
        Some(SettingsRefusal::NotAdministrator)
    } else if !get::<bool>(row, "organization_known")? {
        Some(SettingsRefusal::NoOrganization)
    } else if !get::<bool>(row, "place_known")? {
        Some(SettingsRefusal::NoLocation)
    } else {
        None
    })
}

fn read(row: &QueryResult) -> Result<Option<SettingChange>, StoreError> {
    let Some(id) = get::<Option<Uuid>>(row, "id")? else {
        return Ok(None);
    };
    let location = Some(get::<String>(row, "location")?).filter(|id| !id.is_empty());
    let location = location.map(LocationId::parse).transpose();
    Ok(Some(SettingChange {
        id,
        changed_at: get(row, "changed_at")?,
        changed_by: get(row, "changed_by")?,
        relayed_by: get(row, "relayed_by")?,
        seed: get(row, "seed")?,
        location: location.map_err(|_| StoreError::Corrupt("id"))?,
        change: changed(row)?,
    }))
}

fn changed(row: &QueryResult) -> Result<Changed, StoreError> {
    match get::<String>(row, "kind")?.as_str() {
        Messaging::WORD => both::<Messaging>(row),
        Brand::WORD => both::<Brand>(row),
        _ => Err(StoreError::Corrupt("kind of change")),
    }
}

fn both<T: Setting>(row: &QueryResult) -> Result<Changed, StoreError> {
    let read = |column: &str| {
        get::<Option<String>>(row, column)?
            .map(|json| T::from_json(&json))
            .transpose()
    };
    Ok(T::changed(read("set_before")?, read("set_after")?))
}
