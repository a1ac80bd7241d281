//! The schema of the eligibility service's database, step by step.
//!
//! Every table is keyed by organization first, so that tenants can be spread over databases or shards without a redesign.

use sea_orm_migration::prelude::*;

mod m0001_directory;
mod m0002_settings;
mod m0003_deletions;
mod m0004_outbox;
mod m0005_setting_changes;
mod m0006_folded_names;
mod m0007_audit;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![
            Box::new(m0001_directory::Migration),
            Box::new(m0002_settings::Migration),
            Box::new(m0003_deletions::Migration),
            Box::new(m0004_outbox::Migration),
            Box::new(m0005_setting_changes::Migration),
            Box::new(m0006_folded_names::Migration),
            Box::new(m0007_audit::Migration),
        ]
    }
}

/// A text that is a key or is sorted by: compared bytewise, whatever the locale of the database. SQLite does so by itself.
fn key(manager: &SchemaManager, name: &'static str) -> ColumnDef {
    let mut column = sea_orm_migration::schema::text(name);
    if manager.get_database_backend() == sea_orm_migration::sea_orm::DbBackend::Postgres {
        column.extra("COLLATE \"C\"");
    }
    column
}

fn index(name: &'static str, table: &'static str, columns: &[&'static str]) -> IndexCreateStatement {
    let mut index = Index::create().name(name).table(table).to_owned();
    for column in columns {
        index.col(*column);
    }
    index
}
