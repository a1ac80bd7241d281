//! The list of a folder in its order.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name("participant_by_folder")
            .table("participant")
            .col("organization")
            .col("person")
            .col("archived")
            .col("last_message_at")
            .col("conversation_id")
            .to_owned();
        manager.create_index(index).await
    }
}
