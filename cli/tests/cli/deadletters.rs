//! Dead letters, of the embedded broker and of RabbitMQ.

use std::time::Duration;

use carepost_broker::{
    consumer::{Consumer, ConsumerSettings, Verdict},
    dead_letters::DeadLetters,
    event::{Event, EventKind},
    publisher::Publisher,
    settings::BrokerSettings,
    topology::{DEFAULT_MAX_LENGTH, Topology},
    trace::TraceHeaders,
};
use carepost_identity::OrganizationId;
use carepost_runtime::{Clock, Ids};
use carepost_testkit::Servers;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::support::{Home, hospital};

/// What no service can decode, and a terminal would obey.
const GARBAGE: [u8; 4] = [0xff, 0x00, 0x1b, b'A'];

fn settings(url: &str, prefix: &str) -> BrokerSettings {
    let topology = Topology::new(prefix, DEFAULT_MAX_LENGTH).unwrap();
    BrokerSettings::new(&url.parse().unwrap(), "test", topology).unwrap()
}

fn garbage() -> Event {
    let now = Clock::system().now();
    Event {
        id: Ids.next(now),
        kind: EventKind::MessageSent,
        organization: OrganizationId::parse("prairie").unwrap(),
        payload: GARBAGE.to_vec(),
        occurred_at: now,
        trace: TraceHeaders::default(),
    }
}

/// Makes so many dead letters.
async fn bury(broker: &BrokerSettings, number: usize) {
    let events: Vec<_> = (0..number).map(|_| garbage()).collect();
    let publisher = Publisher::new(broker.clone());
    assert!(publisher.publish(&events).await.iter().all(Result::is_ok));
    let stop = CancellationToken::new();
    let consumer = Consumer::new(broker.clone(), Clock::system());
    let queue = ConsumerSettings::new(broker.topology().message_sent_queue());
    let malformed = |_| std::future::ready(Verdict::Malformed("no sense".to_owned()));
    let running = tokio::spawn(consumer.run(queue, malformed, stop.clone()));
    let letters = DeadLetters::new(broker.clone());
    let buried = async {
        while letters.list(0, 100).await.unwrap().letters.len() < number {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), buried).await.unwrap();
    stop.cancel();
    running.await.unwrap();
    publisher.close().await;
}

/// What `deadletters` does with the letters of a broker that nobody consumes from.
fn letters_are_shown_and_go_back(home: &Home, at: &[&str]) {
    fn with<'a>(at: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
        [&["deadletters"], more, at].concat()
    }
    let listed = home.json(&with(at, &["list"]));
    assert_eq!(listed["remaining"], 0);
    let letters = listed["letters"].as_array().unwrap();
    assert_eq!(letters.len(), 4);
    for letter in letters {
        assert_eq!(
            (&letter["body_hex"], &letter["size"], &letter["reason"]),
            (&json!("ff001b41"), &json!(4), &json!("no sense"))
        );
        assert!(letter["queue"].as_str().unwrap().ends_with("notification.message-sent"));
    }
    let output = home.carepost(&with(at, &["list", "--limit", "1"]));
    let told = String::from_utf8(output.stdout).unwrap();
    assert!(told.contains("ff 00 1b 41") && told.contains("...A"), "{told}");
    assert!(!told.contains('\x1b') && told.contains("There are 3 more"), "{told}");

    let told = home.refusal(&with(at, &["redrive", "--all"]), 2);
    assert!(
        told.contains("Nobody is at the terminal") && told.contains("--yes"),
        "{told}"
    );
    let told = home.refusal(&with(at, &["redrive", "no-such-letter", "--yes"]), 4);
    assert!(told.contains("no-such-letter: There is no such dead letter"), "{told}");
    assert_eq!(count(home, &with(at, &["list"])), 4, "nothing went");

    let id = letters[1]["id"].as_str().unwrap();
    let done = home.json(&with(at, &["redrive", id, "--yes"]));
    assert_eq!(done, json!({"redriven": 1, "kept": 0}));
    let left = home.json(&with(at, &["list"]));
    let left: Vec<_> = left["letters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|letter| letter["id"].clone())
        .collect();
    assert_eq!(left, [0, 2, 3].map(|index: usize| letters[index]["id"].clone()));
    home.json(&with(at, &["redrive", "--oldest", "1", "--yes"]));
    assert_eq!(count(home, &with(at, &["list"])), 2);
    home.json(&with(at, &["redrive", "--all", "--yes"]));
    let output = home.carepost(&with(at, &["list"]));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "No dead letters.\n");
}

fn count(home: &Home, list: &[&str]) -> usize {
    home.json(list)["letters"].as_array().map(Vec::len).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_rabbitmq() {
    let servers = Servers::ensure().await;
    let (url, prefix) = (servers.amqp_url(), servers.unique_prefix("deadletters"));
    bury(&settings(&url, &prefix), 4).await;
    let home = Home::new();
    tokio::task::spawn_blocking(move || {
        letters_are_shown_and_go_back(&home, &["--broker", &url, "--prefix", &prefix]);
    })
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_of_the_embedded_broker() {
    let home = Home::new();
    let url = format!("sqlite://{}", home.path().join("broker.db").display());
    bury(&settings(&url, ""), 4).await;
    tokio::task::spawn_blocking(move || letters_are_shown_and_go_back(&home, &["--broker", &url]))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_undecodable_letter_of_a_running_suite_is_never_dropped() {
    let home = Home::new();
    assert_eq!(
        home.run(&["--import", hospital("prairie").to_str().unwrap()])
            .signal("-INT"),
        Some(0)
    );
    let url = format!(
        "sqlite://{}",
        home.data().canonicalize().unwrap().join("broker.db").display()
    );
    let publisher = Publisher::new(settings(&url, ""));
    assert!(publisher.publish(&[garbage()]).await.iter().all(Result::is_ok));
    publisher.close().await;
    drop(publisher);
    tokio::task::spawn_blocking(move || {
        let _running = home.run(&[]);
        let list = || home.json(&["deadletters", "list"])["letters"].clone();
        assert!(crate::support::until(|| list()[0]["body_hex"] == "ff001b41"));
        let first = list()[0]["time"].clone();
        assert_eq!(home.json(&["deadletters", "redrive", "--all", "--yes"])["redriven"], 1);
        // It makes no more sense than before.
        assert!(crate::support::until(
            || list()[0]["time"] != Value::Null && list()[0]["time"] != first
        ));
        assert_eq!(list().as_array().map(Vec::len), Some(1));
    })
    .await
    .unwrap();
}

#[test]
fn a_broker_that_cannot_be_reached_is_told_in_a_line_without_its_password() {
    let home = Home::new();
    let told = home.refusal(&["deadletters", "list"], 2);
    assert!(told.contains("no profiles"), "{told}");
    let told = home.refusal(
        &["deadletters", "list", "--broker", "amqp://me:hunter2@127.0.0.1:9/x"],
        5,
    );
    assert!(
        !told.contains("hunter2") && told.contains("CAREPOST_BROKER__URL"),
        "{told}"
    );
    let told = home.refusal(&["deadletters", "list", "--broker", "ftp://me:hunter2@127.0.0.1/x"], 2);
    assert!(!told.contains("hunter2") && told.contains("--broker must be"), "{told}");
}
