//! Finds the conversations that regard a chart, to refresh the patient's name in them.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name("conversation_by_chart")
            .table("conversation")
            .col("organization")
            .col("chart_id")
            .to_owned();
        manager.create_index(index).await
    }
}
