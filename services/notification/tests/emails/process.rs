//! The process itself: its commands, its exit codes, its logs.

use std::{path::Path, process::Output};

use carepost_broker::trace::TraceHeaders;
use carepost_testkit::smtp::Security;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::{
    parts::Column,
    stub::active,
    support::{PATIENCE, World, message_sent},
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

pub fn carepost(arguments: &[&str], config: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_carepost-notification"));
    command.args(arguments).arg("--config").arg(config).kill_on_drop(true);
    command
}

pub async fn run(arguments: &[&str], config: &Path) -> Output {
    timeout(PATIENCE, carepost(arguments, config).output())
        .await
        .unwrap()
        .unwrap()
}

/// The log up to a line that holds this text.
async fn log_until(child: &mut Child, text: &str) -> String {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    let mut log = String::new();
    timeout(PATIENCE, async {
        while !log.contains(text) {
            log += &lines.next_line().await.unwrap().unwrap();
            log.push('\n');
        }
    })
    .await
    .unwrap_or_else(|_| panic!("no `{text}` in the log: {log}"));
    log
}

#[tokio::test]
async fn the_process_sends_within_the_events_trace_logs_ids_alone_and_ends_when_told() {
    let world = World::new(Column::Real, "process", Security::Plain).await;
    world
        .eligibility
        .put("southern", "one", active("a.guardian@home.example"));
    let config = world.settings_file(&world.mail_url("smtp"));
    assert!(run(&["check-config"], &config).await.status.success());
    assert!(
        !run(&["serve"], &config).await.status.success(),
        "the schema is not there yet"
    );
    assert!(run(&["migrate"], &config).await.status.success());
    let mut child = carepost(&["serve"], &config)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();

    let mut sent = message_sent("southern", &["portal/one"]);
    sent.event.trace = TraceHeaders::new(Some(format!("00-{TRACE}-b7ad6b7169203331-01")), None);
    world.publish_event(&sent.event).await;
    let log = log_until(&mut child, "an attempt ended").await;
    let attempt = log.lines().last().unwrap();
    for text in [TRACE, &sent.delivery.to_string(), "southern", "Sent", "250"] {
        assert!(attempt.contains(text), "{text} in {attempt}");
    }
    for text in [
        "home.example",
        "guardian",
        "Southern Clinics",
        "nurse",
        "chart-1",
        "token of our own",
    ] {
        assert!(!log.contains(text), "{text} in {log}");
    }
    assert!(world.eligibility.traces().iter().all(|trace| trace.contains(TRACE)));
    assert_eq!(world.eligibility.traces().len(), 1);

    let pid = child.id().unwrap().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .await
            .unwrap()
            .success()
    );
    assert_eq!(timeout(PATIENCE, child.wait()).await.unwrap().unwrap().code(), Some(0));
    world.clear().await;
}

#[tokio::test]
async fn unusable_settings_are_told_all_at_once_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("settings.toml");
    std::fs::write(&config, "[mail]\nurl = \"ftp://mail\"\nfrom = \"nobody\"\npoll = 1\n").unwrap();
    for command in ["check-config", "migrate", "serve"] {
        let output = run(&[command], &config).await;
        assert_eq!(output.status.code(), Some(78));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("database.url:"), "{told}");
        // What brings the schema up needs the database alone.
        for key in ["broker.url:", "mail.url:", "mail.from:", "mail.poll:"] {
            assert_eq!(told.contains(key), command != "migrate", "{command}: {key} in {told}");
        }
    }
}
