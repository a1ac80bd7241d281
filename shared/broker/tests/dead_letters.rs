//! Dead letters as operators see them, on both columns.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use carepost_broker::{
    BrokerError,
    consumer::{Received, Verdict},
    dead_letters::{DeadLetter, DeadLetters, RedriveError},
    event::Event,
    publisher::PublishError,
    settings::BrokerSettings,
};
use carepost_runtime::Clock;
use common::*;
use uuid::Uuid;

on_both! {
    letters_are_listed_oldest_first_and_stay
    a_letter_that_nobody_can_decode_is_shown_as_its_bytes_and_never_dropped
    many_letters_are_listed_page_by_page
    a_letter_goes_back_as_it_was_and_is_gone
    the_oldest_go_back_and_the_others_keep_their_order
    a_letter_that_dies_again_is_looked_at_once
    a_queue_that_is_full_takes_no_letter_and_none_is_lost
    a_letter_of_a_queue_that_is_gone_stays
    a_broker_without_letters_has_an_empty_page
}

/// Makes dead letters of events, one after the other.
async fn bury(column: &Column, broker: &BrokerSettings, events: &[Event]) {
    let (window, dead) = (column.window(broker).await, broker.topology().dead_letters());
    let before = window.ready(dead).await;
    let consumer = consume(broker, |received| {
        let reason = format!("{} makes no sense", received.message_id.unwrap());
        std::future::ready(Verdict::Malformed(reason))
    });
    for (event, there) in events.iter().zip(before..) {
        publish(broker, std::slice::from_ref(event)).await;
        eventually("a dead letter", || async { window.ready(dead).await == there + 1 }).await;
    }
    consumer.stop().await;
}

/// Events whose payloads are no text and no message.
fn garbage(count: usize) -> Vec<Event> {
    let mut events = events(count);
    for (event, byte) in events.iter_mut().zip(0..=u8::MAX) {
        event.payload = vec![0xff, 0x00, 0x1b, byte];
    }
    events
}

fn id_of(letter: &DeadLetter) -> Uuid {
    letter.message_id.as_ref().unwrap().parse().unwrap()
}

fn ids_of(letters: &[DeadLetter]) -> Vec<Uuid> {
    letters.iter().map(id_of).collect()
}

fn order(events: &[Event]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

async fn letters_are_listed_oldest_first_and_stay(column: Column) {
    let broker = column.broker("list", 1000);
    let (events, letters, begin) = (garbage(5), DeadLetters::new(broker.clone()), Clock::system().now());
    bury(&column, &broker, &events).await;

    let page = letters.list(0, 100).await.unwrap();
    assert_eq!((ids_of(&page.letters), page.remaining), (order(&events), 0));
    for (letter, event) in page.letters.iter().zip(&events) {
        assert_eq!(letter.body, event.payload);
        assert_eq!(letter.message_type.as_deref(), Some("carepost.event.v1.MessageSent"));
        assert_eq!(letter.routing_key, "message.sent");
        assert_eq!(letter.queue.as_deref(), Some(broker.topology().message_sent_queue()));
        assert_eq!(letter.reason, Some(format!("{} makes no sense", event.id)));
        let age = letter.time.unwrap() - begin;
        assert!((-1..60).contains(&age.num_seconds()), "{age}");
        assert!(!format!("{letter:?}").contains("255, 0, 27"), "no body in debug output");
    }
    for _ in 0..3 {
        assert_eq!(
            letters.list(0, 100).await.unwrap(),
            page,
            "nothing is gone or elsewhere"
        );
    }
    for _ in 0..3 {
        let part = letters.list(1, 2).await.unwrap();
        assert_eq!((part.letters.as_slice(), part.remaining), (&page.letters[1..3], 2));
    }
    let behind = letters.list(7, 2).await.unwrap();
    assert_eq!((behind.letters.len(), behind.remaining), (0, 0));
    assert_eq!(letters.list(0, 0).await.unwrap().remaining, 5);
    assert_eq!(letters.list(u32::MAX, u32::MAX).await.unwrap().letters, []);
    let window = column.window(&broker).await;
    assert_eq!(window.ready(broker.topology().dead_letters()).await, 5);
}

async fn a_letter_that_nobody_can_decode_is_shown_as_its_bytes_and_never_dropped(column: Column) {
    let broker = column.broker("bytes", 1000);
    let (mut events, letters) = (events(4), DeadLetters::new(broker.clone()));
    let bodies = [vec![], vec![0], (0..=u8::MAX).collect(), vec![0xff; 200_000]];
    for (event, body) in events.iter_mut().zip(&bodies) {
        event.payload.clone_from(body);
    }
    bury(&column, &broker, &events).await;
    let (window, dead) = (column.window(&broker).await, broker.topology().dead_letters());
    for _ in 0..2 {
        let page = letters.list(0, 100).await.unwrap();
        let mut shown: Vec<_> = page
            .letters
            .iter()
            .map(|letter| (id_of(letter), &letter.body))
            .collect();
        shown.sort();
        let mut expected: Vec<_> = events.iter().map(|event| (event.id, &event.payload)).collect();
        expected.sort();
        assert!(shown == expected, "{page:?}");
        // Sent back, it is still what nobody can decode.
        let consumer = consume(&broker, |_| std::future::ready(Verdict::Malformed("still".into())));
        let came = letters.redrive_oldest(100).await;
        assert_eq!((came.redriven, came.kept), (4, 0), "{came:?}");
        eventually("all dead again", || async { window.ready(dead).await == 4 }).await;
        consumer.stop().await;
    }
}

async fn many_letters_are_listed_page_by_page(column: Column) {
    let broker = column.broker("pages", 10_000);
    let (events, letters) = (garbage(200), DeadLetters::new(broker.clone()));
    let (window, dead) = (column.window(&broker).await, broker.topology().dead_letters());
    let consumer = consume(&broker, |_| std::future::ready(Verdict::Malformed("bad".into())));
    publish(&broker, &events).await;
    eventually("all dead", || async { window.ready(dead).await == 200 }).await;
    consumer.stop().await;
    let mut listed = Vec::new();
    for skip in (0..200).step_by(70) {
        let page = letters.list(skip, 70).await.unwrap();
        assert_eq!(page.remaining, 130_u32.saturating_sub(skip));
        listed.extend(page.letters);
    }
    assert!(listed.is_sorted_by_key(|letter| letter.time));
    let mut listed = ids_of(&listed);
    listed.sort();
    assert_eq!(listed, ids(&events), "each once");
}

async fn a_letter_goes_back_as_it_was_and_is_gone(column: Column) {
    let broker = column.broker("redrive", 1000);
    let (mut events, letters) = (garbage(3), DeadLetters::new(broker.clone()));
    events[1].trace.traceparent = Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into());
    bury(&column, &broker, &events).await;
    let page = letters.list(0, 100).await.unwrap();
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);

    letters.redrive(&page.letters[1].id).await.unwrap();
    let received = next(&mut kept).await;
    assert_eq!(id(&received), events[1].id);
    assert_eq!(received.body, events[1].payload);
    assert_eq!(received.routing_key, "message.sent");
    assert_eq!(received.message_type, page.letters[1].message_type);
    assert_eq!((&received.trace, received.redelivered), (&events[1].trace, false));
    let left = letters.list(0, 100).await.unwrap();
    assert_eq!(ids_of(&left.letters), [events[0].id, events[2].id]);

    for id in [page.letters[1].id.as_str(), "17", "", "no such letter", "' OR 1=1"] {
        let error = letters.redrive(id).await.unwrap_err();
        assert!(matches!(error, RedriveError::NotFound), "{id}: {error}");
    }
    assert_eq!(letters.list(0, 100).await.unwrap(), left);
    consumer.stop().await;
    assert!(kept.try_recv().is_err());
}

async fn the_oldest_go_back_and_the_others_keep_their_order(column: Column) {
    let broker = column.broker("oldest", 1000);
    let (events, letters) = (garbage(6), DeadLetters::new(broker.clone()));
    bury(&column, &broker, &events).await;
    let came = letters.redrive_oldest(4).await;
    assert_eq!((came.redriven, came.kept), (4, 0));
    assert!(came.failure.is_none(), "{came:?}");
    let left = letters.list(0, 100).await.unwrap();
    assert_eq!(ids_of(&left.letters), order(&events[4..]));
    let came = letters.redrive_oldest(u32::MAX).await;
    assert_eq!(
        (came.redriven, came.kept, letters.redrive_oldest(9).await.redriven),
        (2, 0, 0)
    );
    let window = column.window(&broker).await;
    let back = window.drain(broker.topology().message_sent_queue()).await;
    assert_eq!(back, order(&events).into_iter().map(|id| (id, 1)).collect());
}

async fn a_letter_that_dies_again_is_looked_at_once(column: Column) {
    let broker = column.broker("again", 1000);
    let (events, letters) = (garbage(20), DeadLetters::new(broker.clone()));
    bury(&column, &broker, &events).await;
    let (deaths, mended) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
    let handler = {
        let (deaths, mended) = (deaths.clone(), mended.clone());
        move |received: Received| {
            let verdict = if mended.load(Ordering::SeqCst) {
                Verdict::Done
            } else {
                deaths.lock().unwrap().push(id(&received));
                Verdict::Malformed("still".into())
            };
            std::future::ready(verdict)
        }
    };
    let consumer = consume(&broker, handler);
    let came = letters.redrive_oldest(1000).await;
    assert_eq!((came.redriven, came.kept), (20, 0));
    let (window, dead) = (column.window(&broker).await, broker.topology().dead_letters());
    eventually("all dead again", || async { window.ready(dead).await == 20 }).await;
    let mut died = deaths.lock().unwrap().clone();
    died.sort();
    assert_eq!(died, ids(&events), "each once");
    let page = letters.list(0, 100).await.unwrap();
    for letter in &page.letters {
        assert_eq!(
            (letter.reason.as_deref(), letter.routing_key.as_str()),
            (Some("still"), "message.sent")
        );
    }
    mended.store(true, Ordering::SeqCst);
    assert_eq!(letters.redrive_oldest(1000).await.redriven, 20);
    consumer.stop().await;
    assert_eq!(letters.list(0, 100).await.unwrap().letters, []);
}

async fn a_queue_that_is_full_takes_no_letter_and_none_is_lost(column: Column) {
    let broker = column.broker("no-room", 5);
    let (events, letters) = (garbage(3), DeadLetters::new(broker.clone()));
    bury(&column, &broker, &events).await;
    let publisher = carepost_broker::publisher::Publisher::new(broker.clone());
    // RabbitMQ takes a few more than its limit.
    eventually("a full queue", || async {
        let outcomes = publisher.publish(&common::events(5)).await;
        outcomes
            .iter()
            .any(|outcome| matches!(outcome, Err(PublishError::Refused)))
    })
    .await;
    let (window, queue) = (column.window(&broker).await, broker.topology().message_sent_queue());
    let (mut redriven, mut turns) = (0, 0);
    let refused = loop {
        let came = letters.redrive_oldest(1).await;
        redriven += came.redriven as usize;
        turns += 1;
        match came.failure {
            Some(failure) => break failure,
            None => assert!(turns < 3, "a full queue took three"),
        }
    };
    assert!(matches!(refused, PublishError::Refused), "{refused}");
    let left = letters.list(0, 100).await.unwrap();
    assert_eq!(ids_of(&left.letters), order(&events[redriven..]));
    let error = letters.redrive(&left.letters[0].id).await.unwrap_err();
    assert!(matches!(error, RedriveError::Failed(PublishError::Refused)), "{error}");

    window.drain(queue).await;
    eventually("room", || async {
        let _ = letters.redrive_oldest(100).await;
        letters.list(0, 100).await.unwrap().letters.is_empty()
    })
    .await;
    let back = window.drain(queue).await;
    assert!(order(&events[redriven..]).iter().all(|id| back.contains_key(id)));
}

async fn a_letter_of_a_queue_that_is_gone_stays(column: Column) {
    let broker = column.broker("stray", 1000);
    let (events, letters) = (garbage(3), DeadLetters::new(broker.clone()));
    bury(&column, &broker, &events[..1]).await;
    column.window(&broker).await.stray(&broker, &events[1]).await;
    bury(&column, &broker, &events[2..]).await;
    let page = letters.list(0, 100).await.unwrap();
    assert_eq!(page.letters.len(), 3);
    let stray = page
        .letters
        .iter()
        .find(|letter| letter.queue.as_deref() == Some("elsewhere"))
        .unwrap();
    let error = letters.redrive(&stray.id).await.unwrap_err();
    assert!(matches!(error, RedriveError::NoQueue), "{error}");
    let came = letters.redrive_oldest(100).await;
    assert_eq!((came.redriven, came.kept), (2, 1));
    assert_eq!(letters.list(0, 100).await.unwrap().letters, std::slice::from_ref(stray));
}

async fn a_broker_without_letters_has_an_empty_page(column: Column) {
    let broker = column.broker("none", 1000);
    let letters = DeadLetters::new(broker.clone());
    column.window(&broker).await;
    let page = letters.list(0, 10).await.unwrap();
    assert_eq!((page.letters.len(), page.remaining), (0, 0));
    let came = letters.redrive_oldest(10).await;
    assert!(came.redriven == 0 && came.failure.is_none());
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_an_error_in_time() {
    let absent = format!("amqp://127.0.0.1:{}/%2f", carepost_testkit::ports::free_port());
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("sqlite://{}/broker.db", folder.path().display());
    for url in [absent, missing] {
        let topology = carepost_broker::topology::Topology::default();
        let broker = BrokerSettings::new(&url.parse().unwrap(), "absent", topology).unwrap();
        let letters = DeadLetters::new(broker);
        let error = letters.list(0, 10).await.unwrap_err();
        assert!(matches!(error, BrokerError::Amqp(_) | BrokerError::File(..)), "{error}");
        assert!(letters.redrive_oldest(10).await.failure.is_some());
        assert!(matches!(letters.redrive("1").await, Err(RedriveError::Failed(_))));
    }
    assert_eq!(folder.path().read_dir().unwrap().count(), 0, "looking makes no file");
}
