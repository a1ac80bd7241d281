use carepost_identity::OrganizationId;
use sea_orm::QueryResult;

use super::{Listed, Page, Source};
use crate::{
    domain::directory::{Country, Kept, Locale, Name, Organization, WebUrl},
    store::{
        Store, StoreError,
        row::{get, id, optional},
    },
};

const SOURCE: Source = Source {
    table: "organization",
    key: "organization",
    content: &["name", "country", "portal_url", "locale"],
    entries: "0",
    lists: "",
    join: "",
};

impl Store {
    /// The organization; none if it was never written.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn organization(&self, organization: &OrganizationId) -> Result<Option<Kept<Organization>>, StoreError> {
        let sql = SOURCE.one(organization, organization.as_str());
        Ok(SOURCE.read(self, sql, read).await?.records.pop())
    }

    /// A page of the organizations that there are for an organization: itself.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn organizations(
        &self,
        organization: &OrganizationId,
        page: Page<'_>,
    ) -> Result<Listed<Organization>, StoreError> {
        SOURCE.read(self, SOURCE.page(organization, page, vec![]), read).await
    }
}

fn read(row: &QueryResult, _: &[QueryResult]) -> Result<Organization, StoreError> {
    Ok(Organization {
        id: id(row, "id")?,
        name: Name::stored(get(row, "name")?),
        country: Country::stored(get(row, "country")?),
        portal_url: WebUrl::stored(get(row, "portal_url")?),
        locale: optional(row, "locale", Locale::stored)?,
    })
}
