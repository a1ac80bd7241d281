//! The settings of My Messages, and brands. The location is empty for the organization's general ones.

use sea_orm_migration::{prelude::*, schema::*};

use crate::key;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        manager.create_table(messaging_setting(manager)).await?;
        manager.create_table(brand(manager)).await
    }
}

fn messaging_setting(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("messaging_setting")
        .col(key(m, "organization"))
        .col(key(m, "location"))
        .col(boolean("enabled"))
        // care_team_only or selected_users; null only where it was never chosen, which is never while enabled.
        .col(text_null("audience"))
        .col(timestamp_with_time_zone("updated_at"))
        .primary_key(Index::create().col("organization").col("location"))
        .foreign_key(
            ForeignKey::create()
                .from("messaging_setting", "organization")
                .to("organization", "organization"),
        )
        .to_owned()
}

fn brand(m: &SchemaManager) -> TableCreateStatement {
    Table::create()
        .table("brand")
        .col(key(m, "organization"))
        .col(key(m, "location"))
        .col(text("name"))
        .col(text("logo_url"))
        .col(text("phone"))
        .col(boolean("neutral"))
        .col(timestamp_with_time_zone("updated_at"))
        .primary_key(Index::create().col("organization").col("location"))
        .foreign_key(
            ForeignKey::create()
                .from("brand", "organization")
                .to("organization", "organization"),
        )
        .to_owned()
}
