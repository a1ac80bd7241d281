//! Locks are taken in the order of bytes, whatever language the database speaks.

use std::time::Duration;

use carepost_messaging_migration::Migrator;
use carepost_testkit::servers::Servers;
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use tokio::time::{Instant, sleep};

use crate::round_trips::Sender;

/// In bytes the capital comes first, in English it comes last.
const FIRST: &str = "staff/B";
const LAST: &str = "staff/a";

/// A database that compares texts as English does.
async fn english() -> DatabaseConnection {
    let servers = Servers::ensure().await;
    let name = servers.unique_prefix("locks");
    let all = Database::connect(servers.postgres_url("postgres")).await.unwrap();
    let create = format!("CREATE DATABASE \"{name}\" TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE 'en-US'");
    all.execute_unprepared(&create).await.unwrap();
    let database = Database::connect(servers.postgres_url(&name)).await.unwrap();
    Migrator::up(&database, None).await.unwrap();
    database
}

fn touch(person: &str) -> String {
    format!("UPDATE mailbox SET unread = unread WHERE person = '{person}'")
}

async fn until_somebody_waits(database: &DatabaseConnection) {
    let waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let waits = Statement::from_string(DbBackend::Postgres, waits);
    let deadline = Instant::now() + Duration::from_secs(10);
    while database.query_one_raw(waits.clone()).await.unwrap().is_none() {
        assert!(Instant::now() < deadline, "nobody waits for the mailbox");
        sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_start_locks_mailboxes_as_a_reply_does_in_every_language() {
    let database = english().await;
    let sender = Sender::between(database.clone(), LAST, FIRST);
    sender.start().await;
    // As a reply does: the first one, and a little later the last one.
    let reply = database.begin().await.unwrap();
    reply.execute_unprepared(&touch(FIRST)).await.unwrap();
    let starting = tokio::spawn(async move { sender.start_as("second").await });
    until_somebody_waits(&database).await;
    reply.execute_unprepared(&touch(LAST)).await.unwrap();
    reply.commit().await.unwrap();
    starting.await.unwrap();
}
