//! Reads what is set at a place and what therefore holds there, together with whether the caller may see it: in one statement,
//! so a role that was taken away before is gone.

use carepost_identity::{Actor, LocationId, OrganizationId, PersonId};
use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, QueryResult, Value};

use super::{
    Store, StoreError,
    row::{get, optional},
    settings_rows::{Setting, columns},
    sql::Sql,
};
use crate::domain::directory::{
    ADMINISTRATORS, Brand, BrandDefaults, Etag, Held, Locale, Messaging, Name, SettingsRefusal, WebUrl,
};

/// What is told, or why not.
pub type Told<T> = Result<T, SettingsRefusal>;

/// Whether the caller may: the member of staff `$3` by their roles `$4` and `$5`, or a service, which has none. For every
/// statement about settings.
pub(super) const ALLOWED: &str = "
(CAST($3 AS text) IS NULL OR EXISTS (SELECT 1 FROM staff s
  JOIN staff_role r ON r.organization = $1 AND r.staff = s.id AND r.role IN ($4, $5)
  WHERE s.organization = $1 AND s.id = $3 AND s.active = TRUE AND s.deleted = FALSE)) AS allowed";

/// The values `$1` to `$5`. The location is empty for the organization's own.
pub(super) fn asked(organization: &OrganizationId, actor: &Actor, location: &str) -> Vec<Value> {
    let staff = match actor.person() {
        Some(PersonId::Staff(id)) => Some(id.as_str()),
        // No member of staff has this id: a portal user administers nothing.
        Some(PersonId::Portal(_)) => Some(""),
        None => None,
    };
    let mut values = vec![organization.as_str().into(), location.into(), staff.into()];
    values.extend(ADMINISTRATORS.map(|role| Value::from(role.as_str())));
    values
}

/// What is stored about a place.
pub(super) struct State<T> {
    pub own: Option<T>,
    pub general: Option<T>,
    pub defaults: BrandDefaults,
    /// 0 if it was never set.
    pub version: i64,
    pub changed_at: Option<DateTime<Utc>>,
}

impl Store {
    /// The messaging settings of the organization or of a location.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn messaging_settings(
        &self,
        organization: &OrganizationId,
        actor: &Actor,
        location: Option<&LocationId>,
    ) -> Result<Told<Held<Messaging>>, StoreError> {
        let state = State::read(&self.database, organization, actor, location).await?;
        Ok(state.map(|state| state.held(organization, location)))
    }

    /// The brand of the organization or of a location.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn brand(
        &self,
        organization: &OrganizationId,
        actor: &Actor,
        location: Option<&LocationId>,
    ) -> Result<Told<Held<Brand>>, StoreError> {
        let state = State::read(&self.database, organization, actor, location).await?;
        Ok(state.map(|state| state.held(organization, location)))
    }
}

impl<T: Setting> State<T> {
    pub async fn read(
        connection: &impl ConnectionTrait,
        organization: &OrganizationId,
        actor: &Actor,
        location: Option<&LocationId>,
    ) -> Result<Told<Self>, StoreError> {
        let place = location.map(|id| id.as_str()).unwrap_or_default();
        let mut sql = Sql::new(select::<T>(), asked(organization, actor, place));
        sql.hold([T::WORD.into()]);
        let row = connection
            .query_one_raw(sql.statement(connection.get_database_backend()))
            .await?;
        let row = row.ok_or(StoreError::Corrupt("row of settings"))?;
        if !get::<bool>(&row, "allowed")? {
            return Ok(Err(SettingsRefusal::NotAdministrator));
        }
        let Some(defaults) = defaults(&row)? else {
            return Ok(Err(SettingsRefusal::NoOrganization));
        };
        if !get::<bool>(&row, "place_known")? {
            return Ok(Err(SettingsRefusal::NoLocation));
        }
        Ok(Ok(Self {
            own: T::read(&row, "own_")?,
            general: T::read(&row, "general_")?,
            defaults,
            version: get(&row, "version")?,
            changed_at: get(&row, "changed_at")?,
        }))
    }

    /// What is set at the place itself.
    pub fn set(&self, location: Option<&LocationId>) -> Option<&T> {
        match location {
            Some(_) => self.own.as_ref(),
            None => self.general.as_ref(),
        }
    }

    pub fn etag(&self, organization: &OrganizationId, location: Option<&LocationId>) -> Etag {
        Etag::of(organization, T::KIND, location, self.version)
    }

    pub fn held(self, organization: &OrganizationId, location: Option<&LocationId>) -> Held<T> {
        Held {
            set: self.set(location).cloned(),
            etag: self.etag(organization, location),
            effective: T::effective(self.own, self.general, self.defaults),
        }
    }
}

fn select<T: Setting>() -> String {
    let (table, own, general) = (T::TABLE, columns::<T>("own"), columns::<T>("general"));
    format!(
        "SELECT {ALLOWED},
  o.name AS organization_name, o.locale AS organization_locale, o.portal_url AS organization_portal_url,
  ($2 = '' OR l.id IS NOT NULL) AS place_known,
  COALESCE(v.version, 0) AS version, v.changed_at AS changed_at, {own}, {general}
FROM (SELECT 1 AS one) AS one
LEFT JOIN organization o ON o.organization = $1 AND o.deleted = FALSE
LEFT JOIN location l ON l.organization = $1 AND l.id = $2 AND l.deleted = FALSE
LEFT JOIN setting_version v ON v.organization = $1 AND v.kind = $6 AND v.location = $2
LEFT JOIN {table} own ON own.organization = $1 AND own.location = $2 AND $2 <> ''
LEFT JOIN {table} general ON general.organization = $1 AND general.location = ''"
    )
}

/// What the organization's record gives; none if there is no such organization.
pub(super) fn defaults(row: &QueryResult) -> Result<Option<BrandDefaults>, StoreError> {
    let Some(name) = get::<Option<String>>(row, "organization_name")? else {
        return Ok(None);
    };
    Ok(Some(BrandDefaults {
        name: Name::stored(name),
        locale: optional(row, "organization_locale", Locale::stored)?,
        portal_url: WebUrl::stored(get(row, "organization_portal_url")?),
    }))
}
