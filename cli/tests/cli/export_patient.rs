//! A lawful export, as an operator makes it (C5): whole, private, recorded, and never half a file.

mod stopped;

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use carepost_messaging_migration::Migrator;
use carepost_testkit::Servers;
use sea_orm::{ConnectOptions, ConnectionTrait as _, Database, DatabaseConnection, FromQueryResult, Statement};
use sea_orm_migration::MigratorTrait as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Home, hospital};

const DOCTOR: &str = "staff/9999999896";
const GUARDIAN: &str = "portal/pu-9";
const OPERATOR: [&str; 4] = ["--operator", "records-7", "--reason", "case-2026-118"];

/// What the trail has of an export.
#[derive(Debug, FromQueryResult)]
struct Row {
    actor: String,
    outcome: String,
    subjects: String,
    count: i32,
}

fn send(home: &Home, chart: &str, body: &str) -> String {
    let to = [
        "send",
        "--as",
        DOCTOR,
        "--to",
        GUARDIAN,
        "--chart",
        chart,
        "--subject",
        "Wound",
        body,
    ];
    home.json(&to)["conversation_id"].as_str().unwrap().to_owned()
}

/// The arguments of an export to this file.
fn export<'a>(what: &[&'a str], out: &'a Path) -> Vec<&'a str> {
    [&["export-patient"], what, &OPERATOR, &["--file", out.to_str().unwrap()]].concat()
}

async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options.sqlx_logging(false).max_connections(1);
    Database::connect(options).await.unwrap()
}

async fn of_suite(home: &Home) -> DatabaseConnection {
    connect(&format!(
        "sqlite://{}?mode=rw",
        home.data().join("messaging.db").display()
    ))
    .await
}

async fn trail(database: &DatabaseConnection, export: &str) -> Vec<Row> {
    let sql = "SELECT actor, outcome, subjects, count FROM audit_record \
               WHERE action = 'operator/export-patient' AND request_id = $1 ORDER BY recorded_at, id";
    let id: uuid::Uuid = export.parse().unwrap();
    let statement = Statement::from_sql_and_values(database.get_database_backend(), sql, [id.into()]);
    Row::find_by_statement(statement).all(database).await.unwrap()
}

fn outcomes(rows: &[Row]) -> Vec<&str> {
    rows.iter().map(|row| row.outcome.as_str()).collect()
}

/// The last export that the trail knows of.
async fn last(database: &DatabaseConnection) -> String {
    let sql = "SELECT request_id FROM audit_record WHERE action = 'operator/export-patient' \
               ORDER BY recorded_at DESC, id DESC LIMIT 1";
    let statement = Statement::from_string(database.get_database_backend(), sql);
    let row = database.query_one_raw(statement).await.unwrap().unwrap();
    row.try_get::<uuid::Uuid>("", "request_id").unwrap().to_string()
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("case")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn c5_an_export_is_whole_private_and_recorded_while_the_suite_runs() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let first = send(&home, "1021", "Please come on Monday.");
    home.json(&["reply", "--as", GUARDIAN, &first, "I will be there."]);
    let file = home.path().join("case.jsonl");
    let told = home.json(&export(&["--chart", "1021"], &file));
    let text = fs::read_to_string(&file).unwrap();
    let all = lines(&text);

    let (header, end) = (&all[0], &all[all.len() - 1]);
    assert_eq!(
        (&header["type"], &header["chart_id"]),
        (&"export".into(), &"1021".into())
    );
    assert_eq!(header["organization"], "prairie");
    assert_eq!(
        (&header["operator"], &header["reason"]),
        (&"records-7".into(), &"case-2026-118".into())
    );
    let conversations = of_type(&all, "conversation");
    assert_eq!(
        (conversations.len(), &conversations[0]["conversation_id"]),
        (1, &first.into())
    );
    assert_eq!(conversations[0]["regarding"]["chart_id"], "1021");
    let messages = of_type(&all, "message");
    let texts: Vec<_> = messages.iter().map(|message| &message["text"]).collect();
    assert_eq!(texts, ["Please come on Monday.", "I will be there."]);
    assert_eq!(
        (&messages[0]["sender"], &messages[1]["sender"]),
        (&DOCTOR.into(), &GUARDIAN.into())
    );
    let before_end = &text[..text.trim_end().rfind('\n').unwrap() + 1];
    assert_eq!(end["sha256"], sha256(before_end.as_bytes()));
    for (place, expected) in [("conversations", 1), ("messages", 2), ("missing", 0)] {
        assert_eq!(
            (&end[place], &told[place]),
            (&expected.into(), &expected.into()),
            "{place}"
        );
    }
    assert_eq!(told["sha256"], end["sha256"]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);

    let database = of_suite(&home).await;
    let rows = trail(&database, told["export_id"].as_str().unwrap()).await;
    assert_eq!(outcomes(&rows), ["OK/BEGUN", "OK/SHOWN", "OK"]);
    assert!(rows.iter().all(|row| row.actor == "operator/records-7"
        && row.subjects.contains("charts/1021")
        && row.subjects.contains("reasons/case-2026-118")));
    let conversation = conversations[0]["conversation_id"].as_str().unwrap();
    assert!(rows[1].count == 1 && rows[1].subjects.contains(&format!("conversations/{conversation}")));
    assert!(
        rows[2]
            .subjects
            .contains(&format!("export-sha256/{}", end["sha256"].as_str().unwrap()))
    );
    assert!(
        !rows
            .iter()
            .any(|row| row.subjects.contains("Streich") || row.subjects.contains("Wound"))
    );

    home.refusal(&export(&["--chart", "1021"], &file), 2);
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "nothing is written over");
    let of_user = home.path().join("case-of-user.jsonl");
    let told = home.json(&export(&["--person", GUARDIAN], &of_user));
    assert_eq!(told["messages"], 2);
    assert_eq!(running.signal("-INT"), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_or_lost_is_told_and_recorded() {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    let conversation = send(&home, "1021", "One");
    for text in ["Two", "Three", "Four"] {
        home.json(&["reply", "--as", GUARDIAN, &conversation, text]);
    }
    assert_eq!(running.signal("-INT"), Some(0));
    let database = of_suite(&home).await;
    let file = home.path().join("case.jsonl");

    let told = home.refusal(&export(&["--chart", "no-such"], &file), 4);
    assert!(told.contains("No conversation regards the chart no-such"), "{told}");
    let id = last(&database).await;
    assert!(told.contains(&id), "{told}");
    assert_eq!(outcomes(&trail(&database, &id).await), ["OK/BEGUN", "NOT_FOUND"]);
    assert!(names(home.path()).is_empty());

    database
        .execute_unprepared("DELETE FROM message WHERE body IN ('Two', 'Four')")
        .await
        .unwrap();
    let output = home.carepost(&export(&["--chart", "1021"], &file));
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(
        told.contains("2 messages that were sent are not stored any more"),
        "{told}"
    );
    let all = lines(&fs::read_to_string(&file).unwrap());
    let kinds: Vec<_> = all.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "export",
            "conversation",
            "message",
            "missing",
            "message",
            "missing",
            "end"
        ]
    );
    assert_eq!((&all[3]["from_number"], &all[3]["to_number"]), (&2.into(), &2.into()));
    assert_eq!(all[5]["from_number"], 4);

    // What cannot be recorded is not handed out.
    database
        .execute_unprepared("ALTER TABLE audit_record RENAME TO gone")
        .await
        .unwrap();
    let second = home.path().join("case-2.jsonl");
    let told = home.refusal(&export(&["--chart", "1021"], &second), 5);
    assert!(told.contains("audit trail cannot be written"), "{told}");
    assert!(!told.contains("Recorded"), "{told}");
    assert_eq!(names(home.path()), ["case.jsonl"]);
}

/// A name that no other test has for a role of the page.
fn role(servers: &Servers, of_page: &str) -> String {
    servers.unique_prefix(of_page).replace(['-', '.'], "_")
}

/// Makes a role as the page tells.
async fn make_role(database: &DatabaseConnection, of_page: &str, role: &str) {
    let page = include_str!("../../../docs/audit.md").split("```sql\n");
    let mut blocks = page.filter_map(|block| block.split("```").next());
    let block = blocks
        .find(|block| block.contains(of_page))
        .unwrap()
        .replace(of_page, role);
    database.execute_unprepared(&block).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_a_database_on_postgresql_needs_its_version_and_the_role_of_the_page() {
    let home = Home::new();
    let servers = Servers::ensure().await;
    let url = servers.postgres_url(&servers.create_database("export").await);
    let database = connect(&url).await;
    let records = role(&servers, "carepost_records");
    let as_records = url.replace("postgres@", &format!("{records}@"));
    let file = home.path().join("case.jsonl");
    let export = export(
        &[
            "--database",
            &as_records,
            "--organization",
            "prairie",
            "--chart",
            "1021",
        ],
        &file,
    );
    home.refusal(&export, 5);
    Migrator::up(&database, None).await.unwrap();
    make_role(&database, "carepost_records", &records).await;
    home.refusal(&export, 4);
    database
        .execute_unprepared(
            "INSERT INTO conversation (organization, id, kind, chart_id, patient_name, subject, created_at, last_message_at, last_sequence)
             VALUES ('prairie', '01890000-0000-7000-8000-000000000001', 1, '1021', 'Pat', 'Wound', now(), now(), 1);
             INSERT INTO message (organization, conversation_id, sequence, id, sender, body, sent_at)
             VALUES ('prairie', '01890000-0000-7000-8000-000000000001', 1, '01890000-0000-7000-8000-000000000002',
                     'staff/1', 'Please come on Monday.', now())",
        )
        .await
        .unwrap();
    // As Kubernetes mounts it.
    let secret = home.path().join("url");
    fs::write(&secret, format!("{as_records}\n")).unwrap();
    let export = [&["--database-file", secret.to_str().unwrap()], &export[3..]].concat();
    let export = [&["export-patient"], &export[..]].concat();
    let told = home.json(&export);
    assert_eq!((&told["conversations"], &told["messages"]), (&1.into(), &1.into()));
    let rows = trail(&database, told["export_id"].as_str().unwrap()).await;
    assert_eq!(outcomes(&rows), ["OK/BEGUN", "OK/SHOWN", "OK"]);
    // So is it verified every night.
    let auditor = role(&servers, "carepost_auditor");
    make_role(&database, "carepost_auditor", &auditor).await;
    let as_auditor = url.replace("postgres@", &format!("{auditor}@"));
    let told = home.json(&["audit", "verify", "--database", &as_auditor]);
    assert_eq!(told["whole"], true, "{told}");
    // A newer version may keep what this one does not know of.
    database
        .execute_unprepared("INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_expand_more', 0)")
        .await
        .unwrap();
    fs::remove_file(&file).unwrap();
    let told = home.refusal(&export, 1);
    assert!(told.contains("of another version"), "{told}");
    assert!(names(home.path()).is_empty());
}

#[test]
fn what_is_asked_wrongly_is_refused_before_anything_is_opened() {
    let home = Home::new();
    let file = home.path().join("case.jsonl");
    let out = ["--file", file.to_str().unwrap(), "--organization", "prairie"];
    let asked = |what: &[&'static str]| [&["export-patient"], what, &out[..]].concat();
    for lacks in [
        &OPERATOR[..],
        &["--chart", "1021", "--operator", "records-7"],
        &["--chart", "1021", "--reason", "case-1"],
    ] {
        assert_eq!(home.carepost(&asked(lacks)).status.code(), Some(2), "{lacks:?}");
    }
    let told = home.refusal(&asked(&[&["--person", DOCTOR], &OPERATOR[..]].concat()), 2);
    assert!(told.contains("Add --chart"), "{told}");
    let words = [
        "--chart",
        "1021",
        "--operator",
        "records-7",
        "--reason",
        "wound of Lucia",
    ];
    let told = home.refusal(&asked(&words), 2);
    assert!(told.contains("--reason") && !told.contains("Lucia"), "{told}");
    home.refusal(
        &asked(&["--chart", "1021", "--operator", "a b", "--reason", "case-1"]),
        2,
    );
    assert!(names(home.path()).is_empty());
}
