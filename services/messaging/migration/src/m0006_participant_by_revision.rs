//! Finds what changed in a mailbox after a revision. Each change of a mailbox takes a revision of its own and stamps one
//! conversation with it, which the index sees to: a watch counts on it.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        let index = Index::create()
            .name("participant_by_revision")
            .table("participant")
            .col("organization")
            .col("person")
            .col("revision")
            .unique()
            .to_owned();
        manager.create_index(index).await
    }
}
