//! What members of staff want to be told by email.

use sea_orm_migration::{prelude::*, schema::*};

use crate::key;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let backend = manager.get_database_backend();
        let table = Table::create()
            .table("preference")
            .col(key(backend, "organization"))
            // The id of the member of staff. Who is not here has not chosen anything.
            .col(key(backend, "staff"))
            .col(boolean("email_on_message"))
            .col(timestamp_with_time_zone("updated_at"))
            // The service through which they chose, if any.
            .col(text_null("updated_by_service"))
            .primary_key(Index::create().col("organization").col("staff"))
            .to_owned();
        manager.create_table(table).await
    }
}
