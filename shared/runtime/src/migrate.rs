//! Bringing a database to this version's schema while services work on it.

use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr};
use sea_orm_migration::MigratorTrait;

use crate::{
    Backoff,
    database::{DatabaseError, DatabaseSettings, patiently, schema},
    schema::Schema,
};

/// How long a migration waits for a lock. Whoever comes after it waits as well. It is less than PostgreSQL's `deadlock_timeout`, so
/// that of a migration and a call that wait for each other the migration gives up.
const LOCK_TIMEOUT: &str = "500ms";
/// How often it gives up until it fails: for some eight minutes, so that a long export does not fail an upgrade.
const MOST_LOCK_FAILURES: u32 = 100;

/// Brings the database to this version's schema, beside services that work on it: it waits for a lock no longer than they can
/// spare, and tries again. A migration that gave up has changed nothing, or goes on from there.
///
/// # Errors
/// If the database does not answer within 30 seconds, is newer than this program in whatever way (then nothing is changed),
/// or a migration fails.
pub async fn migrate<M: MigratorTrait>(settings: &DatabaseSettings) -> Result<(), DatabaseError> {
    // A migration may take its time, once it has its locks.
    let mut options = settings.options(None);
    // One connection, so that a migration can change what holds for it.
    options
        .max_connections(1)
        .map_sqlx_postgres_opts(|options| options.options([("lock_timeout", LOCK_TIMEOUT)]));
    let database = patiently(options).await?;
    if let Schema::Expanded(migrations) | Schema::Newer(migrations) = schema::<M, _>(&database).await? {
        return Err(DatabaseError::Newer(migrations));
    }
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut failures = 0;
    loop {
        match M::up(&database, None).await {
            Ok(()) => return Ok(database.close().await?),
            Err(error) if failures == MOST_LOCK_FAILURES || !is_contended(&error) => return Err(error.into()),
            Err(_) => failures += 1,
        }
        tracing::warn!(failures, "a migration waits for what works on its tables");
        tokio::time::sleep(backoff.delay(failures)).await;
    }
}

/// Whether a lock could not be had: `lock_not_available`, or a deadlock.
fn is_contended(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error))) = error else {
        return false;
    };
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("55P03" | "40P01"))
}

#[cfg(test)]
mod tests {
    use carepost_testkit::Servers;
    use sea_orm::{ConnectionTrait, Database, DbBackend, Statement, TransactionTrait};
    use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager, async_trait};

    use super::*;
    use crate::database::tests::settings;

    struct Two;

    #[async_trait::async_trait]
    impl MigratorTrait for Two {
        fn migrations() -> Vec<Box<dyn MigrationTrait>> {
            vec![Box::new(Both)]
        }
    }

    struct Both;

    impl MigrationName for Both {
        fn name(&self) -> &str {
            "m0001_expand_both"
        }
    }

    #[async_trait::async_trait]
    impl MigrationTrait for Both {
        async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
            for table in ["one", "two"] {
                let sql = format!("ALTER TABLE {table} ADD COLUMN more integer");
                manager.get_connection().execute_unprepared(&sql).await?;
            }
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_migration_and_a_call_that_wait_for_each_other_both_go_well_and_the_call_goes_first() {
        let servers = Servers::ensure().await;
        let name = servers.create_database("migrated_under_load").await;
        let settings = settings(&servers.postgres_url(&name));
        let service = Database::connect(settings.options(None)).await.unwrap();
        service
            .execute_unprepared("CREATE TABLE one (id integer); CREATE TABLE two (id integer)")
            .await
            .unwrap();
        let call = service.begin().await.unwrap();
        call.execute_unprepared("INSERT INTO two VALUES (1)").await.unwrap();
        let migrating = tokio::spawn(async move { migrate::<Two>(&settings).await });
        let watcher = Database::connect(servers.postgres_url(&name)).await.unwrap();
        let waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'two'::regclass";
        let seen = async {
            let waits = Statement::from_string(DbBackend::Postgres, waits);
            while watcher.query_one_raw(waits.clone()).await.unwrap().is_none() {
                assert!(!migrating.is_finished(), "it did not wait");
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), seen).await.unwrap();
        // The migration has the one table, and waits for the other.
        call.execute_unprepared("INSERT INTO one VALUES (1)").await.unwrap();
        call.commit().await.unwrap();
        migrating.await.unwrap().unwrap();
        watcher
            .execute_unprepared("SELECT one.more, two.more FROM one, two")
            .await
            .unwrap();
        service.close().await.unwrap();
        watcher.close().await.unwrap();
        servers.drop_database(&name).await;
    }
}
