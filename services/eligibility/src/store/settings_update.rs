//! Changes what is set at a place, against the state that the administrator read: who may, the version, the setting, its history
//! and the event are one transaction.

use carepost_identity::LocationId;
use carepost_runtime::database::begin;
use sea_orm::{ConnectionTrait, DatabaseTransaction, Value};

use super::{
    Store, StoreError, Write, bulk,
    changed::Changes,
    settings::{State, Told},
    settings_history::{self, Kept},
    settings_rows::Setting,
    sql::fixed,
};
use crate::domain::directory::{Brand, Etag, Held, Messaging, SettingsRefusal};

/// Of two who write the same version, one finds that it is there already.
const FIRST: &str = "
INSERT INTO setting_version (organization, kind, location, version, changed_at) VALUES ($1, $2, $3, 1, $4)
ON CONFLICT (organization, kind, location) DO NOTHING";

const NEXT: &str = "
UPDATE setting_version SET version = version + 1, changed_at = $4
WHERE organization = $1 AND kind = $2 AND location = $3 AND version = $5";

/// A setting that is to be at a place.
#[derive(Debug)]
pub struct Chosen<'a, T> {
    /// The location; none: the organization.
    pub location: Option<&'a LocationId>,
    /// The setting; none: the location follows the organization again.
    pub setting: Option<T>,
    /// The state that it was chosen against.
    pub etag: Etag,
}

impl Store {
    /// Changes messaging settings.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn update_messaging_settings(
        &self,
        write: Write<'_>,
        chosen: Chosen<'_, Messaging>,
    ) -> Result<Told<Held<Messaging>>, StoreError> {
        self.update(write, chosen).await
    }

    /// Changes a brand.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn update_brand(
        &self,
        write: Write<'_>,
        chosen: Chosen<'_, Brand>,
    ) -> Result<Told<Held<Brand>>, StoreError> {
        self.update(write, chosen).await
    }

    async fn update<T: Setting>(
        &self,
        mut write: Write<'_>,
        chosen: Chosen<'_, T>,
    ) -> Result<Told<Held<T>>, StoreError> {
        let Chosen {
            location,
            setting,
            etag,
        } = chosen;
        let tx = begin(&self.database).await?;
        let state = State::<T>::read(&*tx, write.organization, write.actor, location).await?;
        let mut state = match state {
            Ok(state) if state.etag(write.organization, location) != etag => {
                return Ok(Err(SettingsRefusal::Outdated));
            }
            Ok(state) => state,
            Err(refusal) => return Ok(Err(refusal)),
        };
        // A first choice counts even where it changes nothing: no seed may come after it.
        if state.version > 0 && state.set(location) == setting.as_ref() {
            return Ok(Ok(state.held(write.organization, location)));
        }
        // The history of a place is in the order of its versions, whatever the clocks of the replicas say.
        let after = state.changed_at.map(|last| last + chrono::TimeDelta::microseconds(1));
        write.now = after.map_or(write.now, |after| after.max(write.now));
        let place = location.map(|id| id.as_str()).unwrap_or_default();
        if !next_version::<T>(&tx, write, place, state.version).await? {
            return Ok(Err(SettingsRefusal::Outdated));
        }
        replace(&tx, write, place, setting.as_ref()).await?;
        let kept = Kept {
            location: place,
            before: state.set(location),
            after: setting.as_ref(),
            seed: false,
        };
        settings_history::keep(&tx, write, &[kept]).await?;
        let mut changes = Changes::default();
        changes.add(T::KIND, place);
        self.commit(tx, write, changes).await?;
        state.version += 1;
        match location {
            Some(_) => state.own = setting,
            None => state.general = setting,
        }
        Ok(Ok(state.held(write.organization, location)))
    }
}

/// Makes the next version; not if somebody else has made it meanwhile.
async fn next_version<T: Setting>(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    place: &str,
    version: i64,
) -> Result<bool, StoreError> {
    let mut values: Vec<Value> = vec![
        write.organization.as_str().into(),
        T::WORD.into(),
        place.into(),
        write.now.into(),
    ];
    let text = if version == 0 {
        FIRST
    } else {
        values.push(version.into());
        NEXT
    };
    let made = tx.execute_raw(fixed(tx.get_database_backend(), text, values)).await?;
    Ok(made.rows_affected() == 1)
}

async fn replace<T: Setting>(
    tx: &DatabaseTransaction,
    write: Write<'_>,
    place: &str,
    setting: Option<&T>,
) -> Result<(), StoreError> {
    let Some(setting) = setting else {
        let text = format!("DELETE FROM {} WHERE organization = $1 AND location = $2", T::TABLE);
        let values = [write.organization.as_str().into(), place.into()];
        tx.execute_raw(fixed(tx.get_database_backend(), &text, values)).await?;
        return Ok(());
    };
    let columns = columns::<T>();
    let set: Vec<_> = columns[2..]
        .iter()
        .map(|column| format!("{column} = excluded.{column}"))
        .collect();
    let tail = format!("ON CONFLICT (organization, location) DO UPDATE SET {}", set.join(", "));
    let row = row(write, place, setting);
    bulk::insert(tx, T::TABLE, &columns, &[row], &tail).await?;
    Ok(())
}

/// The columns of a setting's table.
pub(super) fn columns<T: Setting>() -> Vec<&'static str> {
    [&["organization", "location"], T::COLUMNS, &["updated_at"]].concat()
}

/// A setting in those columns.
pub(super) fn row<T: Setting>(write: Write<'_>, place: &str, setting: &T) -> Vec<Value> {
    let mut row: Vec<Value> = vec![write.organization.as_str().into(), place.into()];
    row.extend(setting.values());
    row.push(write.now.into());
    row
}
