//! Every attempt at a delivery, and what an operator's retry changes.

use sea_orm_migration::{prelude::*, schema::*};

use crate::key;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(attempt(manager)).await?;
        // SQLite adds one column at a time.
        for mut column in retry() {
            let table = Table::alter().table("delivery").add_column(&mut column).to_owned();
            manager.alter_table(table).await?;
        }
        Ok(())
    }
}

fn attempt(manager: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("attempt")
        .col(key(manager.get_database_backend(), "organization"))
        .col(uuid("delivery"))
        // 1 for the first.
        .col(integer("number"))
        .col(timestamp_with_time_zone("begun_at"))
        // Null while it is under way, and if its process died.
        .col(timestamp_with_time_zone_null("ended_at"))
        // accepted, refused, postponed, unknown or suppressed; null as above.
        .col(text_null("outcome"))
        // The mail server's answer, without addresses; 0 and empty if none came.
        .col(integer("code"))
        .col(text("answer"))
        .primary_key(Index::create().col("organization").col("delivery").col("number"))
        .to_owned()
}

fn retry() -> [ColumnDef; 5] {
    [
        // When an operator last made it begin anew, and who: the service that called, the person for whom.
        timestamp_with_time_zone_null("retried_at"),
        text_null("retried_by_service"),
        text_null("retried_by_person"),
        // The counts as they were then.
        integer("attempts_before_retry").default(0).to_owned(),
        integer("unknown_before_retry").default(0).to_owned(),
    ]
}
