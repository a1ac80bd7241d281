//! The schema of the messaging service's database, step by step.
//!
//! Every table is keyed by organization first, so that tenants can be spread over databases or shards without a redesign; but
//! for the outbox, which is a short queue of the database that it is in.

use sea_orm_migration::prelude::*;

mod m0001_conversations;
mod m0002_outbox;
mod m0003_conversation_by_chart;
mod m0004_folders;
mod m0005_search;
mod m0006_participant_by_revision;
mod m0007_unanswered;
mod m0008_audit;
pub mod search;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_conversations::Migration),
            Box::new(m0002_outbox::Migration),
            Box::new(m0003_conversation_by_chart::Migration),
            Box::new(m0004_folders::Migration),
            Box::new(m0005_search::Migration),
            Box::new(m0006_participant_by_revision::Migration),
            Box::new(m0007_unanswered::Migration),
            Box::new(m0008_audit::Migration),
        ]
    }
}
