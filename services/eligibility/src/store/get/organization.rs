use carepost_identity::OrganizationId;

use super::rows;
use crate::{
    domain::{
        directory::{Country, Locale, Name, Organization, WebUrl},
        version::StoredVersion,
    },
    store::{
        Store, StoreError,
        row::{get, optional, version},
    },
};

const SELECT: &str = "
SELECT name, country, portal_url, locale, emr_version, import_counter FROM organization
WHERE organization = $1 AND organization = $2 AND deleted = FALSE";

impl Store {
    /// The organization; none if it was never written.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn organization(
        &self,
        organization: &OrganizationId,
    ) -> Result<Option<(Organization, StoredVersion)>, StoreError> {
        let rows = rows(&self.database, SELECT, organization, organization.as_str()).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let record = Organization {
            id: organization.clone(),
            name: Name::stored(get(row, "name")?),
            country: Country::stored(get(row, "country")?),
            portal_url: WebUrl::stored(get(row, "portal_url")?),
            locale: optional(row, "locale", Locale::stored)?,
        };
        Ok(Some((record, version(row)?)))
    }
}
