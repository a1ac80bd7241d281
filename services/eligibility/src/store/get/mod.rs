//! Reads one record with its version, in one statement each.

use carepost_identity::OrganizationId;
use sea_orm::{ConnectionTrait, DatabaseConnection, QueryResult};

use super::{StoreError, sql::fixed};

mod chart;
mod location;
mod organization;
mod portal_user;
mod staff;

/// The rows of a record: one for each entry of its lists, and one at least if it exists. `$1` is the organization, `$2` the id.
async fn rows(
    database: &DatabaseConnection,
    text: &str,
    organization: &OrganizationId,
    id: &str,
) -> Result<Vec<QueryResult>, StoreError> {
    let values = [organization.as_str().into(), id.into()];
    let statement = fixed(database.get_database_backend(), text, values);
    Ok(database.query_all_raw(statement).await?)
}
