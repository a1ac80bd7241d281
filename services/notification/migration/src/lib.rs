//! The schema of the notification service's database, step by step.
//!
//! Every table is keyed by organization first, so that tenants can be spread over databases or shards without a redesign.

use sea_orm_migration::prelude::*;

mod m0001_deliveries;

/// All migrations, oldest first.
#[derive(Debug)]
pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_deliveries::Migration)]
    }
}
