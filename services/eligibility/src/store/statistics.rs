//! What the database knows of how much it holds.

use carepost_runtime::database::turn;
use sea_orm::ConnectionTrait;

use super::{Store, StoreError};

const TABLES: &[&str] = &[
    "organization",
    "location",
    "staff",
    "staff_role",
    "staff_location",
    "chart",
    "chart_staff",
    "portal_user",
    "connection",
    "messaging_setting",
    "brand",
    "import_seen",
];

impl Store {
    /// Has the database count its tables, roughly. After a large import: until then it plans as for what was there before,
    /// and reads whole tables for one row.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn refresh_statistics(&self) -> Result<(), StoreError> {
        for table in TABLES {
            let _turn = turn(&self.database).await?;
            self.database.execute_unprepared(&format!("ANALYZE {table}")).await?;
        }
        Ok(())
    }
}
