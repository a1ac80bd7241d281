//! What the embedded broker alone has: a file that one process has at a time.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    collections::HashSet,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use carepost_broker::{
    BrokerError,
    consumer::{Consumer, ConsumerSettings, Verdict},
    dead_letters::DeadLetters,
    publisher::{PublishError, Publisher},
};
use carepost_runtime::Clock;
use common::*;
use uuid::Uuid;

/// Tells the child of these tests the folder of its file.
const FOLDER: &str = "CAREPOST_TEST_FOLDER";

fn file(folder: &Path) -> PathBuf {
    folder.join("broker.db")
}

/// Another process, which publishes one event after the other, notes those that were confirmed, and handles none to the end.
fn child(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "--ignored", "the_child"])
        .env(FOLDER, folder)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "another test runs it as a process of its own"]
#[allow(clippy::disallowed_methods, reason = "what the other test tells this one")]
async fn the_child() {
    let folder = PathBuf::from(std::env::var(FOLDER).unwrap());
    let broker = embedded(&file(&folder), 1_000_000);
    let _consumer = consume(&broker, |_| std::future::pending());
    let publisher = Publisher::new(broker);
    let mut noted = std::fs::File::create(folder.join("confirmed")).unwrap();
    loop {
        let event = event(Default::default());
        publisher
            .publish(std::slice::from_ref(&event))
            .await
            .pop()
            .unwrap()
            .unwrap();
        writeln!(noted, "{}", event.id).unwrap();
    }
}

fn confirmed(folder: &Path) -> Vec<Uuid> {
    let noted = std::fs::read_to_string(folder.join("confirmed")).unwrap_or_default();
    noted.lines().filter_map(|line| line.parse().ok()).collect()
}

#[tokio::test]
async fn a_killed_process_loses_nothing_and_its_messages_are_handed_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let broker = embedded(&file(folder.path()), 1_000_000);
    let mut child = child(folder.path());
    eventually("events confirmed", || async { confirmed(folder.path()).len() >= 200 }).await;

    let error = Publisher::new(broker.clone()).ready().await.unwrap_err();
    assert!(matches!(error, BrokerError::InUse(_)), "{error}");
    assert!(
        error.to_string().ends_with("broker.db is used by another process"),
        "{error}"
    );
    // As kill -9 does.
    child.kill().unwrap();
    child.wait().unwrap();

    let confirmed = confirmed(folder.path());
    let (handler, mut kept) = keeping();
    let settings = ConsumerSettings {
        concurrency: 1,
        ..consumer_settings(&broker)
    };
    let consumer = Consumer::new(broker.clone(), Clock::system());
    let consumer = Running::start(|stop| consumer.run(settings, handler, stop));
    let window = Window::of_file(&file(folder.path())).await;
    eventually("an empty queue", || async {
        window.ready(broker.topology().message_sent_queue()).await == 0
    })
    .await;
    consumer.stop().await;
    let got: Vec<_> = std::iter::from_fn(|| kept.try_recv().ok()).collect();
    let again = got.iter().take_while(|received| received.redelivered).count();
    assert!((8..=64).contains(&again), "{again} had been handed out");
    assert!(got[again..].iter().all(|received| !received.redelivered));
    let got: Vec<_> = got.iter().map(id).collect();
    // In the same order; the last may have been written, but not confirmed.
    assert!(got.starts_with(&confirmed) && got.len() <= confirmed.len() + 1);
}

#[tokio::test]
async fn dead_letters_are_seen_and_sent_back_while_another_process_has_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let broker = embedded(&file(folder.path()), 1_000_000);
    let letters = DeadLetters::new(broker.clone());
    let batch = events(3);
    let consumer = consume(&broker, |_| std::future::ready(Verdict::Malformed("bad".into())));
    publish(&broker, &batch).await;
    let window = Window::of_file(&file(folder.path())).await;
    let dead = broker.topology().dead_letters();
    eventually("dead letters", || async { window.ready(dead).await == 3 }).await;
    consumer.stop().await;

    let mut child = child(folder.path());
    eventually("events confirmed", || async { confirmed(folder.path()).len() >= 20 }).await;
    let page = letters.list(0, 10).await.unwrap();
    assert_eq!((page.letters.len(), page.remaining), (3, 0));
    letters.redrive(&page.letters[1].id).await.unwrap();
    assert_eq!(letters.list(0, 10).await.unwrap().letters.len(), 2);
    let so_far = confirmed(folder.path()).len();
    eventually("the other works on", || async {
        confirmed(folder.path()).len() > so_far + 20
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
    let waiting = window.drain(broker.topology().message_sent_queue()).await;
    assert_eq!(waiting.get(&batch[1].id), Some(&1));
}

#[tokio::test]
async fn a_publication_wakes_the_consumer() {
    let folder = tempfile::tempdir().unwrap();
    let broker = embedded(&file(folder.path()), 1000);
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);
    let begin = Instant::now();
    for event in events(20) {
        publish(&broker, &[event]).await;
        next(&mut kept).await;
    }
    // The timer alone would take up to a second for each.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    consumer.stop().await;
}

#[tokio::test]
async fn a_queue_takes_as_many_as_it_holds() {
    let folder = tempfile::tempdir().unwrap();
    let publisher = Publisher::new(embedded(&file(folder.path()), 5));
    let outcomes = publisher.publish(&events(8)).await;
    assert!(outcomes[..5].iter().all(Result::is_ok));
    assert!(
        outcomes[5..]
            .iter()
            .all(|outcome| matches!(outcome, Err(PublishError::Refused)))
    );
}

#[tokio::test]
async fn the_file_is_free_once_the_last_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let broker = embedded(&file(folder.path()), 1000);
    let publishers = [Publisher::new(broker.clone()), Publisher::new(broker.clone())];
    for publisher in &publishers {
        publisher.ready().await.unwrap();
    }
    let lock = std::fs::File::open(folder.path().join("broker.db.lock")).unwrap();
    let [first, second] = publishers;
    drop(first);
    assert!(lock.try_lock().is_err());
    drop(second);
    lock.try_lock().unwrap();
    lock.unlock().unwrap();
    publish(&broker, &events(1)).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("absent").join("broker.db");
    let error = Publisher::new(embedded(&nowhere, 10)).ready().await.unwrap_err();
    assert!(matches!(error, BrokerError::File(..)), "{error}");
    assert!(error.to_string().contains("absent/broker.db"), "{error}");

    let newer = file(folder.path());
    Publisher::new(embedded(&newer, 10)).ready().await.unwrap();
    let Window::Embedded(db) = Window::of_file(&newer).await else {
        unreachable!()
    };
    sea_orm::ConnectionTrait::execute_unprepared(&db, "PRAGMA user_version = 99")
        .await
        .unwrap();
    let error = Publisher::new(embedded(&newer, 10)).ready().await.unwrap_err();
    assert!(matches!(error, BrokerError::Newer(_)), "{error}");

    let garbage = folder.path().join("garbage.db");
    std::fs::write(&garbage, "x".repeat(10_000)).unwrap();
    let outcomes = Publisher::new(embedded(&garbage, 10)).publish(&events(2)).await;
    let faults: HashSet<_> = outcomes
        .iter()
        .map(|outcome| outcome.as_ref().unwrap_err().is_outage())
        .collect();
    assert_eq!((outcomes.len(), faults), (2, HashSet::from([true])));
}
