//! An export that does not come to its end.

use std::{
    process::{Child, Command, Stdio},
    time::Duration,
};

use carepost_messaging_migration::Migrator;
use carepost_testkit::Servers;
use sea_orm::{ConnectionTrait as _, Statement, TransactionTrait as _};
use sea_orm_migration::MigratorTrait as _;

use super::{connect, export, last, names, of_suite, outcomes, send, trail};
use crate::support::{Home, hospital, until};

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_is_stopped_leaves_no_file_and_its_record() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    send(&home, "1021", "One");
    assert_eq!(running.signal("-INT"), Some(0));
    let database = of_suite(&home).await;
    // So many that they cannot all be written before the signal comes.
    let many = "WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n < 300000) \
                INSERT INTO message (organization, conversation_id, sequence, id, sender, body, sent_at) \
                SELECT m.organization, m.conversation_id, n, randomblob(16), m.sender, m.body, m.sent_at FROM message m, n";
    database.execute_unprepared(many).await.unwrap();
    database
        .execute_unprepared("UPDATE conversation SET last_sequence = 300000")
        .await
        .unwrap();
    let file = home.path().join("case.jsonl");
    // By Ctrl-C, with its pod, or with the terminal that it ran in.
    for signal in ["-INT", "-TERM", "-HUP"] {
        let mut command = home.command(&export(&["--chart", "1021"], &file));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        assert!(until(|| names(home.path()) == ["case.jsonl.part"]));
        stop(&child, signal);
        let told = crate::support::refusal(&child.wait_with_output().unwrap(), 1);
        assert!(told.contains("The export was stopped"), "{told}");
        assert!(names(home.path()).is_empty());
        let rows = trail(&database, &last(&database).await).await;
        assert_eq!(outcomes(&rows).last(), Some(&"ABORTED"), "{rows:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_stopped_while_the_trail_is_silent_and_that_is_recorded_when_it_is_back() {
    let home = Home::new();
    let servers = Servers::ensure().await;
    let url = servers.postgres_url(&servers.create_database("stopped-export").await);
    let database = connect(&url).await;
    Migrator::up(&database, None).await.unwrap();
    // So many that they cannot all be written before it is seen that it is to stop.
    let many = "INSERT INTO conversation (organization, id, kind, chart_id, patient_name, subject, created_at, last_message_at, last_sequence) \
                VALUES ('prairie', '01890000-0000-7000-8000-000000000001', 1, '1021', 'Pat', 'Wound', now(), now(), 50000); \
                INSERT INTO message (organization, conversation_id, sequence, id, sender, body, sent_at) \
                SELECT 'prairie', '01890000-0000-7000-8000-000000000001', n, gen_random_uuid(), 'staff/1', 'Soon.', now() \
                FROM generate_series(1, 50000) n";
    database.execute_unprepared(many).await.unwrap();
    let other = connect(&url).await;
    let silent = other.begin().await.unwrap();
    silent
        .execute_unprepared("LOCK TABLE audit_record IN ACCESS EXCLUSIVE MODE")
        .await
        .unwrap();
    let file = home.path().join("case.jsonl");
    let what = ["--database", &url, "--organization", "prairie", "--chart", "1021"];
    let mut command = home.command(&export(&what, &file));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let waiting = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'audit_record'::regclass";
    let waiting = Statement::from_string(database.get_database_backend(), waiting);
    let begun = async {
        while database.query_one_raw(waiting.clone()).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), begun).await.unwrap();
    stop(&child, "-INT");
    silent.rollback().await.unwrap();
    let told = crate::support::refusal(&child.wait_with_output().unwrap(), 1);
    assert!(told.contains("The export was stopped"), "{told}");
    assert!(names(home.path()).is_empty());
    let rows = trail(&database, &last(&database).await).await;
    assert_eq!(outcomes(&rows).last(), Some(&"ABORTED"), "{rows:?}");
}

fn stop(child: &Child, signal: &str) {
    let sent = Command::new("kill").args([signal, &child.id().to_string()]).status();
    assert!(sent.unwrap().success());
}
