use carepost_identity::{LocationId, OrganizationId};

use super::rows;
use crate::{
    domain::{
        directory::{Country, Location, Name},
        version::StoredVersion,
    },
    store::{
        Store, StoreError,
        row::{get, optional, version},
    },
};

const SELECT: &str = "
SELECT name, country, emr_version, import_counter FROM location
WHERE organization = $1 AND id = $2 AND deleted = FALSE";

impl Store {
    /// A location, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn location(
        &self,
        organization: &OrganizationId,
        id: &LocationId,
    ) -> Result<Option<(Location, StoredVersion)>, StoreError> {
        let rows = rows(&self.database, SELECT, organization, id.as_str()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let record = Location {
            id: id.clone(),
            name: Name::stored(get(row, "name")?),
            country: optional(row, "country", Country::stored)?,
        };
        Ok(Some((record, version(row)?)))
    }
}
