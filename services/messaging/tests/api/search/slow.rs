//! Searches that take long, on a database in which one function is slow.

use std::time::Duration;

use carepost_messaging::store::SearchError;
use carepost_messaging_migration::{Migrator, search::token};
use carepost_proto::messaging::v1::SearchConversationsRequest;
use sea_orm::{ConnectionTrait, TransactionTrait};
use sea_orm_migration::MigratorTrait;
use tonic::Code;

use super::stored::{PATIENCE, search};
use crate::support::{Column, NURSE, Plan, Service, reason, retry_delay};

/// A function of our own in place of PostgreSQL's: it sleeps first.
async fn slow_down(database: &sea_orm::DatabaseConnection, signature: &str, seconds: &str) {
    let (name, arguments) = signature.split_once('(').unwrap();
    let places: Vec<_> = (1..=arguments.split(',').count())
        .map(|place| format!("${place}"))
        .collect();
    let returns = if name == "strpos" { "int" } else { "text" };
    let sql = format!(
        "CREATE FUNCTION public.{signature} RETURNS {returns} LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_sleep({seconds}); RETURN pg_catalog.{name}({}); END $$",
        places.join(", ")
    );
    database.execute_unprepared(&sql).await.unwrap();
    let first = "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$";
    database.execute_unprepared(first).await.unwrap();
}

/// The nurse's conversations with a message each, the oldest with a word of its own.
async fn conversations(database: &sea_orm::DatabaseConnection, count: u32) {
    let token = token("org", NURSE);
    let sql = format!(
        "INSERT INTO conversation (organization, id, kind, subject, created_at, last_message_at, last_sequence, participants, folded)
         SELECT 'org', lpad(n::text, 32, '0')::uuid, 2, '', now(), now() - n * interval '1 minute', 1, '{token}', ''
         FROM generate_series(1, {count}) n;
         INSERT INTO participant (organization, conversation_id, person, display_name, unread, last_message_at, revision)
         SELECT organization, id, 'staff/nurse', 'Nurse', 0, last_message_at, row_number() OVER () FROM conversation;
         INSERT INTO message (organization, conversation_id, sequence, id, sender, body, sent_at, participants, folded)
         SELECT organization, id, 1, id, 'staff/nurse', 'Common', now(), participants,
                CASE WHEN id = lpad('{count}', 32, '0')::uuid THEN 'penicillin' ELSE 'common' END
         FROM conversation;"
    );
    database.execute_unprepared(&sql).await.unwrap();
}

/// Another connection to the same database, which has what `slow_down` set.
async fn again(old: sea_orm::DatabaseConnection, url: &str) -> sea_orm::DatabaseConnection {
    old.close().await.unwrap();
    sea_orm::Database::connect(url).await.unwrap()
}

#[tokio::test]
async fn the_index_has_its_turn_when_the_newest_conversations_take_long() {
    let (database, url) = real("search_share").await;
    Migrator::up(&database, None).await.unwrap();
    conversations(&database, 150).await;
    // Looking through a hundred takes a second at least.
    slow_down(&database, "strpos(text, text)", "0.01").await;
    let database = again(database, &url).await;
    let found = search(&database, "penicillin", Duration::from_millis(900))
        .await
        .unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        search(&database, "nowhere", Duration::from_millis(900)).await.unwrap(),
        []
    );
}

#[tokio::test]
async fn a_search_whose_last_reads_are_given_up_took_too_long() {
    let (database, url) = real("search_late").await;
    Migrator::up(&database, None).await.unwrap();
    conversations(&database, 3).await;
    // It makes previews.
    slow_down(&database, "substr(text, int, int)", "20").await;
    let database = again(database, &url).await;
    let given_up = search(&database, "common", Duration::from_millis(500)).await;
    assert!(matches!(given_up, Err(SearchError::TooLong)), "{given_up:?}");
}

async fn real(hint: &str) -> (sea_orm::DatabaseConnection, String) {
    let servers = carepost_testkit::servers::Servers::ensure().await;
    let url = servers.postgres_url(&servers.create_database(hint).await);
    (sea_orm::Database::connect(&url).await.unwrap(), url)
}

#[tokio::test(flavor = "multi_thread")]
async fn more_searches_than_places_are_refused_early() {
    let plan = Plan {
        settings: "[search]\nconcurrent = 1\ntimeout_ms = 9000\n".to_owned(),
        ..Plan::default()
    };
    let service = Service::start_as(Column::Real, "search_places", plan).await;
    service.start_portal().await;
    let database = service.database().await;
    let locking = database.begin().await.unwrap();
    locking.execute_unprepared("LOCK TABLE message").await.unwrap();
    let ask = |service: &Service| {
        let mut nurse = service.of(NURSE);
        let query = "monday".to_owned();
        let request = SearchConversationsRequest {
            query,
            ..Default::default()
        };
        tokio::spawn(async move { nurse.search_conversations(request).await })
    };
    let (first, second) = (ask(&service), ask(&service));
    // One of them waits for the database, the other does not wait for it.
    let (refused, waiting) = match futures::future::select(first, second).await {
        futures::future::Either::Left((refused, waiting)) | futures::future::Either::Right((refused, waiting)) => {
            (refused.unwrap().unwrap_err(), waiting)
        }
    };
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::ResourceExhausted, "OVERLOADED".to_owned())
    );
    assert!(retry_delay(&refused).is_some());
    // Everything else goes on.
    tokio::time::timeout(PATIENCE, service.mailbox(NURSE)).await.unwrap();
    locking.rollback().await.unwrap();
    assert_eq!(waiting.await.unwrap().unwrap().into_inner().results.len(), 1);
    assert_eq!(ask(&service).await.unwrap().unwrap().into_inner().results.len(), 1);
}
