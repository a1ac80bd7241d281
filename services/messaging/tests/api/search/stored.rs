//! What is stored to be found, and how long a search may take.

use std::time::Duration;

use carepost_identity::{Actor, ChartId, OrganizationId, PersonId, ServiceName};
use carepost_messaging::{
    domain::{Names, SearchQuery},
    store::{Found, Search, SearchError, Store, Write, search_statements},
};
use carepost_messaging_migration::Migrator;
use carepost_testkit::servers::Servers;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement, TransactionTrait, Value};
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;

use crate::support::{Column, on_both};

/// A database without a schema. The folder holds it, if it is a file.
pub async fn database(column: Column, hint: &str) -> (DatabaseConnection, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let url = match column {
        Column::Real => {
            let servers = Servers::ensure().await;
            servers.postgres_url(&servers.create_database(hint).await)
        }
        Column::Embedded => format!("sqlite://{}?mode=rwc", folder.path().join("messaging.db").display()),
    };
    let mut options = ConnectOptions::new(url);
    options.max_connections(2).sqlx_logging(false);
    (Database::connect(options).await.unwrap(), folder)
}

pub async fn search(database: &DatabaseConnection, text: &str, within: Duration) -> Result<Vec<Found>, SearchError> {
    let search = Search {
        query: &SearchQuery::parse(text).unwrap(),
        after: None,
        most: 10,
        within,
    };
    let (organization, nurse) = (
        OrganizationId::parse("org").unwrap(),
        PersonId::parse("staff/nurse").unwrap(),
    );
    Store::new(database.clone()).search(&organization, &nurse, search).await
}

pub const PATIENCE: Duration = Duration::from_secs(20);

/// Rows as they were before there was a search: a conversation with this number of messages.
async fn old_conversation(database: &DatabaseConnection, messages: i64) {
    let backend = database.get_database_backend();
    let id = uuid::Uuid::from_u128(7);
    let now = carepost_runtime::Clock::system().now();
    let execute = async |sql: &str, values: Vec<Value>| {
        let statement = Statement::from_sql_and_values(backend, sql, values);
        database.execute_raw(statement).await.unwrap();
    };
    execute(
        "INSERT INTO conversation (organization, id, kind, chart_id, patient_name, subject, created_at, last_message_at, last_sequence)
         VALUES ('org', $1, 2, 'c', 'Rocky Żółć', 'Größe', $2, $2, $3)",
        vec![id.into(), now.into(), messages.into()],
    )
    .await;
    for (person, name) in [("staff/nurse", "Nurse Ågren"), ("staff/doctor", "Dr. Łukasz")] {
        execute(
            "INSERT INTO participant (organization, conversation_id, person, display_name, unread, last_message_at, revision)
             VALUES ('org', $1, $2, $3, 0, $4, 1)",
            vec![id.into(), person.into(), name.into(), now.into()],
        )
        .await;
    }
    for sequence in 1..=messages {
        execute(
            "INSERT INTO message (organization, conversation_id, sequence, id, sender, body, sent_at)
             VALUES ('org', $1, $2, $3, 'staff/nurse', $4, $5)",
            vec![
                id.into(),
                sequence.into(),
                uuid::Uuid::from_u128(sequence as u128).into(),
                format!("Crème № {sequence}.").into(),
                now.into(),
            ],
        )
        .await;
    }
}

on_both!(what_was_stored_before_is_found);
async fn what_was_stored_before_is_found(column: Column) {
    let (database, _folder) = database(column, "search_before").await;
    let before = Migrator::migrations()
        .iter()
        .position(|step| step.name() == "m0005_search")
        .unwrap();
    Migrator::up(&database, Some(before as u32)).await.unwrap();
    // More than are folded at a time.
    old_conversation(&database, 450).await;
    Migrator::up(&database, None).await.unwrap();
    for (text, sequence) in [
        ("creme no 450", Some(450)),
        ("CREME NO 1.", Some(1)),
        ("creme", Some(450)),
        ("GROSSE", None),
        ("zolc", None),
        ("lukasz", None),
    ] {
        let found = search(&database, text, PATIENCE).await.unwrap();
        let sequences: Vec<_> = found
            .iter()
            .map(|found| found.body.as_ref().map(|body| body.sequence))
            .collect();
        assert_eq!(sequences, [sequence], "{text}");
    }
    assert_eq!(search(&database, "creme no 451", PATIENCE).await.unwrap(), []);
}

on_both!(a_new_name_is_found_and_the_old_one_no_more);
async fn a_new_name_is_found_and_the_old_one_no_more(column: Column) {
    let (database, _folder) = database(column, "search_names").await;
    Migrator::up(&database, None).await.unwrap();
    old_conversation(&database, 1).await;
    let doctor = PersonId::parse("staff/doctor").unwrap();
    let names = Names {
        persons: [(doctor, "Dr. Çelik".to_owned())].into(),
        patients: [(ChartId::parse("c").unwrap(), "Ocean Żółć".to_owned())].into(),
    };
    let organization = OrganizationId::parse("org").unwrap();
    let write = Write {
        organization: &organization,
        actor: &Actor::Service(ServiceName::parse("messaging").unwrap()),
        now: carepost_runtime::Clock::system().now(),
        occasion: &carepost_audit::Occasion::own(uuid::Uuid::nil(), "test"),
    };
    let store = Store::new(database.clone());
    store.rename(write, uuid::Uuid::from_u128(7), &names).await.unwrap();
    for (text, count) in [
        ("dr. celik", 1),
        ("ocean", 1),
        ("agren", 1),
        ("grosse", 1),
        ("lukasz", 0),
        ("rocky", 0),
    ] {
        assert_eq!(search(&database, text, PATIENCE).await.unwrap().len(), count, "{text}");
    }
}

on_both!(a_search_without_time_is_given_up);
async fn a_search_without_time_is_given_up(column: Column) {
    let (database, _folder) = database(column, "search_time").await;
    Migrator::up(&database, None).await.unwrap();
    let given_up = search(&database, "anything", Duration::ZERO).await;
    assert!(matches!(given_up, Err(SearchError::TooLong)), "{given_up:?}");
    assert_eq!(search(&database, "anything", PATIENCE).await.unwrap(), []);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_given_up() {
    let (database, _folder) = database(Column::Real, "search_slow").await;
    Migrator::up(&database, None).await.unwrap();
    let locking = database.begin().await.unwrap();
    locking.execute_unprepared("LOCK TABLE message").await.unwrap();
    let given_up = search(&database, "anything", Duration::from_millis(50)).await;
    assert!(matches!(given_up, Err(SearchError::TooLong)), "{given_up:?}");
    locking.rollback().await.unwrap();
    assert_eq!(search(&database, "anything", PATIENCE).await.unwrap(), []);
}

/// Conversations of many people, with a message each.
const MANY: &str = "
    INSERT INTO conversation (organization, id, kind, subject, created_at, last_message_at, last_sequence, participants, folded)
    SELECT 'org', lpad(n::text, 32, '0')::uuid, 2, '', now(), now(), 1, 'token' || n % 500, 'somebody ' || md5(n::text)
    FROM generate_series(1, 20000) n;
    INSERT INTO message (organization, conversation_id, sequence, id, sender, body, sent_at, participants, folded)
    SELECT organization, id, 1, id, 'staff/nurse', '', now(), participants, repeat(md5(folded), 4) FROM conversation;
    ANALYZE;";

#[tokio::test]
async fn the_indexes_serve_the_search() {
    let (database, _folder) = database(Column::Real, "search_plan").await;
    Migrator::up(&database, None).await.unwrap();
    database.execute_unprepared(MANY).await.unwrap();
    let [by_words, by_symbols] = search_statements();
    for (statement, text, compared) in [(by_words, "'%text%'", "~~"), (by_symbols, "'???'", "@>")] {
        let values = [
            ("$1", "'org'"),
            ("$2", "'staff/nurse'"),
            ("$3", text),
            ("$4", "10"),
            ("$5", "ARRAY['token7', '???']"),
            ("$6", "now()"),
            ("$7", "gen_random_uuid()"),
        ];
        let statement = values
            .iter()
            .fold(statement.to_owned(), |text, (place, value)| text.replace(place, value));
        let explain = Statement::from_string(database.get_database_backend(), format!("EXPLAIN {statement}"));
        let lines = database.query_all_raw(explain).await.unwrap();
        let plan: Vec<String> = lines.iter().map(|line| line.try_get_by(0).unwrap()).collect();
        for index in ["on message_search", "on conversation_search"] {
            // The condition is on the next two lines: there is a line break in it.
            let place = plan.iter().position(|line| line.contains(index)).unwrap_or(plan.len());
            let condition: String = plan.iter().skip(place + 1).take(2).cloned().collect();
            assert!(
                condition.contains("@>") && condition.contains(compared),
                "{index}: {plan:#?}"
            );
        }
    }
}
