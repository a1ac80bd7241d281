//! The schema of the notification service's database, step by step.
//!
//! Every table is keyed by organization first, so that tenants can be spread over databases or shards without a redesign.

use sea_orm_migration::{prelude::*, schema::text, sea_orm::DbBackend};

mod m0001_deliveries;
mod m0002_attempts;
mod m0003_preferences;
mod m0004_audit;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_deliveries::Migration),
            Box::new(m0002_attempts::Migration),
            Box::new(m0003_preferences::Migration),
            Box::new(m0004_audit::Migration),
        ]
    }
}

/// A text that is part of a key: compared bytewise, whatever language the database speaks.
fn key(backend: DbBackend, name: &'static str) -> ColumnDef {
    let mut column = text(name);
    if backend == DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}
