use carepost_identity::{LocationId, OrganizationId};
use sea_orm::QueryResult;

use super::{Listed, Page, Source};
use crate::{
    domain::directory::{Country, Kept, Location, Name},
    store::{
        Store, StoreError,
        row::{get, id, optional},
    },
};

const SOURCE: Source = Source {
    table: "location",
    key: "id",
    content: &["name", "country"],
    entries: "0",
    lists: "",
    join: "",
};

impl Store {
    /// A location, if there is one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn location(
        &self,
        organization: &OrganizationId,
        id: &LocationId,
    ) -> Result<Option<Kept<Location>>, StoreError> {
        let sql = SOURCE.one(organization, id.as_str());
        Ok(SOURCE.read(self, sql, read).await?.records.pop())
    }

    /// A page of locations.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn locations(
        &self,
        organization: &OrganizationId,
        page: Page<'_>,
    ) -> Result<Listed<Location>, StoreError> {
        SOURCE.read(self, SOURCE.page(organization, page, vec![]), read).await
    }
}

fn read(row: &QueryResult, _: &[QueryResult]) -> Result<Location, StoreError> {
    Ok(Location {
        id: id(row, "id")?,
        name: Name::stored(get(row, "name")?),
        country: optional(row, "country", Country::stored)?,
    })
}
