//! The audit trail, as an operator verifies and exports it.

use std::{fs, os::unix::fs::PermissionsExt as _};

use sea_orm::{ConnectionTrait as _, Database, DatabaseConnection, Statement};
use serde_json::{Value, json};

use crate::support::{Home, hospital, until};

const DOCTOR: &str = "staff/9999999896";

/// A suite that ran, with so many messages, all of whose records are sealed.
async fn ran(messages: usize) -> (Home, DatabaseConnection) {
    let home = Home::new();
    let running = home.run(&["--import", hospital("prairie").to_str().unwrap()]);
    for number in 0..messages {
        let body = format!("Secret {number}");
        home.json(&[
            "send",
            "--as",
            DOCTOR,
            "--to",
            "portal/pu-9",
            "--chart",
            "1021",
            "--subject",
            "Private",
            &body,
        ]);
    }
    assert!(until(
        || chain(&home)["unsealed"] == 0 && chain(&home)["records"].as_u64() >= Some(messages as u64)
    ));
    assert_eq!(running.signal("-INT"), Some(0));
    let file = home.data().join("messaging.db");
    let database = Database::connect(format!("sqlite://{}?mode=rw", file.display()))
        .await
        .unwrap();
    (home, database)
}

/// What is told of messaging's trail of Prairie.
fn chain(home: &Home) -> Value {
    let output = home.carepost(&["audit", "verify", "--of", "messaging", "--json"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let chains = told["trails"][0]["chains"].as_array().unwrap().iter();
    let mut of_prairie = chains.filter(|chain| chain["organization"] == "prairie");
    of_prairie.next().cloned().unwrap_or_default()
}

/// What an owner of the database can do: the triggers go first.
async fn as_owner(database: &DatabaseConnection, sql: &str) {
    let triggers = "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name LIKE 'audit_%'";
    let triggers = Statement::from_string(database.get_database_backend(), triggers);
    for row in database.query_all_raw(triggers).await.unwrap() {
        let name: String = row.try_get("", "name").unwrap();
        database
            .execute_unprepared(&format!("DROP TRIGGER {name}"))
            .await
            .unwrap();
    }
    let done = database.execute_unprepared(sql).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
}

/// The first record of a message.
const FIRST: &str = "(SELECT min(id) FROM audit_record WHERE organization = 'prairie' AND seal_number IS NOT NULL)";

#[tokio::test(flavor = "multi_thread")]
async fn a_trail_is_whole_and_what_was_changed_or_removed_is_told() {
    let (home, database) = ran(3).await;
    let output = home.carepost(&["audit", "verify"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        ["messaging", "eligibility", "notification"]
            .iter()
            .all(|name| told.contains(name)),
        "{told}"
    );
    assert!(told.contains("whole") && !told.contains("broken"), "{told}");

    as_owner(
        &database,
        &format!("UPDATE audit_record SET actor = 'staff/other' WHERE id = {FIRST}"),
    )
    .await;
    let output = home.carepost(&["audit", "verify", "--of", "messaging"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(
        told.contains("broken at 1 place") && told.contains("was changed"),
        "{told}"
    );
    assert_eq!(chain(&home)["faults"][0]["fault"], "record_changed");

    as_owner(&database, &format!("DELETE FROM audit_record WHERE id = {FIRST}")).await;
    let output = home.carepost(&["audit", "verify", "--of", "messaging"]);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("was removed"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_the_log_names_must_be_there() {
    let (home, _database) = ran(1).await;
    let chain = chain(&home);
    let log = home.path().join("messaging.log");
    let line = |head: &str| {
        let fields = json!({"message": "audit records were sealed", "audit_organization": "prairie",
            "number": chain["seal"], "head": head});
        format!("not json\n{}\n", json!({"level": "INFO", "fields": fields}))
    };
    let verify = [
        "audit",
        "verify",
        "--of",
        "messaging",
        "--anchors",
        log.to_str().unwrap(),
    ];
    fs::write(&log, line(chain["head"].as_str().unwrap())).unwrap();
    let told = String::from_utf8(home.carepost(&verify).stdout).unwrap();
    assert!(told.contains("whole") && told.contains("Held against 1 head"), "{told}");
    fs::write(&log, line(&"0".repeat(64))).unwrap();
    let output = home.carepost(&verify);
    let told = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("has not the head that the log names"), "{told}");
    fs::write(&log, "nothing of the kind\n").unwrap();
    home.refusal(&verify, 2);
    home.refusal(&["audit", "verify", "--anchors", log.to_str().unwrap()], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_sorted_bounded_private_and_itself_recorded() {
    let (home, _database) = ran(3).await;
    let file = home.path().join("trail.jsonl");
    let export = |more: &[&str]| {
        let all = [
            "audit",
            "export",
            "--of",
            "messaging",
            "--operator",
            "compliance-7",
            "--file",
        ];
        [&all[..], &[file.to_str().unwrap()], more]
            .concat()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let arguments = export(&["--since", "2020-01-01"]);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let told = home.json(&arguments);
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told["records"], lines.len());
    let times: Vec<_> = lines.iter().map(|line| line["recorded_at"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times.len() >= 3, "{times:?}");
    let sends = lines.iter().filter(|line| {
        line["actor"] == DOCTOR
            && line["action"].as_str().unwrap().ends_with("/StartConversation")
            && line["outcome"] == "OK"
    });
    assert_eq!(sends.count(), 3);
    assert!(
        !text.contains("Secret") && !text.contains("Private") && !text.contains("Streich"),
        "{text}"
    );
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    home.refusal(&arguments, 2);
    assert_eq!(fs::read_to_string(&file).unwrap(), text, "nothing is written over");

    fs::remove_file(&file).unwrap();
    let csv = export(&["--since", times[0], "--until", times[1], "--format", "csv"]);
    let csv: Vec<_> = csv.iter().map(String::as_str).collect();
    let told = home.json(&csv);
    let bounded = times.iter().filter(|time| **time < times[1]).count();
    assert_eq!(told["records"], bounded);
    assert_eq!(
        fs::read_to_string(&file).unwrap().lines().count(),
        bounded + 1,
        "with its head"
    );

    fs::remove_file(&file).unwrap();
    home.json(&arguments);
    let text = fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let exports = lines.iter().filter(|line| line["action"] == "operator/export");
    assert!(exports.clone().all(|line| line["actor"] == "operator/compliance-7"));
    assert!(exports.count() >= 2, "{text}");
}

#[test]
fn what_cannot_be_verified_is_told() {
    let home = Home::new();
    let nowhere = [
        "audit",
        "verify",
        "--database",
        "sqlite:///no/such/folder/messaging.db?mode=rw",
    ];
    let told = home.refusal(&nowhere, 5);
    assert!(told.contains("cannot be used"), "{told}");
    let told = home.refusal(&["audit", "verify", "--database", "mysql://u:secret@h/d"], 2);
    assert!(told.contains("postgres://") && !told.contains("secret"), "{told}");
    let told = home.refusal(
        &["audit", "verify", "--database", "postgres://u:secret@127.0.0.1:1/d"],
        5,
    );
    assert!(!told.contains("secret"), "{told}");
    let file = home.path().join("url");
    let of_file = ["audit", "verify", "--database-file", file.to_str().unwrap()];
    home.refusal(&of_file, 2);
    for (url, exit) in [
        ("nonsense secret", 2),
        ("mysql://u:secret@h/d", 2),
        ("postgres://u:secret@127.0.0.1:1/d\n", 5),
    ] {
        fs::write(&file, url).unwrap();
        let told = home.refusal(&of_file, exit);
        assert!(!told.contains("secret"), "{told}");
    }
    let unnamed = [
        "audit",
        "export",
        "--database",
        "postgres://127.0.0.1:1/d",
        "--organization",
        "prairie",
        "--operator",
        "a b",
        "--since",
        "2020-01-01",
        "--file",
        "/tmp/never-written",
    ];
    let told = home.refusal(&unnamed, 2);
    assert!(told.contains("--operator"), "{told}");
}
