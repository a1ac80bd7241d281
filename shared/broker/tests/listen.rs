//! What listeners hear, on both columns.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

mod common;

use std::time::Duration;

use carepost_broker::{
    event::{Event, EventKind},
    listener::{Hint, HintListener, Hints, ListenerSettings, Missed},
    publisher::Publisher,
    settings::BrokerSettings,
    trace::TraceHeaders,
};
use carepost_identity::OrganizationId;
use carepost_proto::event::v1::{DirectoryChanged, MailboxRead};
use carepost_runtime::{Clock, Ids};
use carepost_testkit::{Servers, TcpProxy, servers::Parts};
use common::*;

on_both! {
    every_listener_hears_every_kind
    a_listener_hears_from_now_on
    a_listener_that_is_slow_is_told_and_loses_the_oldest
    what_cannot_be_decoded_is_skipped
    a_hint_that_nobody_hears_is_published_all_the_same
    a_directory_change_waits_in_its_work_queue
    the_relay_takes_every_kind_from_the_outbox
    what_is_refused_is_not_heard
}

fn settings() -> ListenerSettings {
    ListenerSettings {
        backoff: QUICK,
        ..ListenerSettings::default()
    }
}

fn start(broker: &BrokerSettings, settings: ListenerSettings) -> (Running, Hints) {
    let (listener, hints) = HintListener::new(broker.clone(), settings, Clock::system());
    (Running::start(|stop| listener.run(stop)), hints)
}

async fn hear(hints: &mut Hints) -> Hint {
    let next = tokio::time::timeout(PATIENCE, hints.next());
    next.await.expect("a hint comes").expect("the listener lives")
}

/// A listener that listens.
async fn listen(broker: &BrokerSettings) -> (Running, Hints) {
    let (running, mut hints) = start(broker, settings());
    assert_eq!(hear(&mut hints).await, Hint::Missed(Missed::Connected));
    (running, hints)
}

fn southern() -> OrganizationId {
    OrganizationId::parse("southern").unwrap()
}

fn read(revision: i64) -> (Event, Hint) {
    let now = Clock::system().now();
    let id = Ids.next(now);
    let payload = MailboxRead {
        event_id: id.to_string(),
        organization_id: "southern".into(),
        person: "portal/2".into(),
        revision,
        change_time: None,
    };
    let event = Event::mailbox_read(id, southern(), &payload, TraceHeaders::default(), now);
    (event, Hint::MailboxRead(payload))
}

fn changed() -> (Event, Hint) {
    let now = Clock::system().now();
    let id = Ids.next(now);
    let payload = DirectoryChanged {
        event_id: id.to_string(),
        organization_id: "southern".into(),
        staff_ids: vec!["1".into(), "2".into()],
        ..DirectoryChanged::default()
    };
    let event = Event::directory_changed(id, southern(), &payload, TraceHeaders::default(), now);
    (event, Hint::DirectoryChanged(payload))
}

fn sent() -> (Event, Hint) {
    let event = event(TraceHeaders::default());
    let payload = prost::Message::decode(event.payload.as_slice()).unwrap();
    (event, Hint::MessageSent(payload))
}

async fn every_listener_hears_every_kind(column: Column) {
    let broker = column.broker("hear", 1000);
    let (first, mut by_first) = listen(&broker).await;
    let (second, mut by_second) = listen(&broker).await;
    // Each by a publisher of its own.
    for (event, hint) in [sent(), read(7), changed()] {
        publish(&broker, &[event]).await;
        assert_eq!(hear(&mut by_first).await, hint);
        assert_eq!(hear(&mut by_second).await, hint);
    }
    first.stop().await;
    assert_eq!(by_first.next().await, None, "it has ended");
    let (event, hint) = sent();
    publish(&broker, &[event]).await;
    assert_eq!(hear(&mut by_second).await, hint);
    second.stop().await;
}

async fn a_listener_hears_from_now_on(column: Column) {
    let broker = column.broker("now", 1000);
    let publisher = Publisher::new(broker.clone());
    assert!(publisher.publish(&events(3)).await.iter().all(Result::is_ok));
    let (running, mut hints) = listen(&broker).await;
    let (event, hint) = sent();
    assert!(publisher.publish(&[event]).await.iter().all(Result::is_ok));
    assert_eq!(hear(&mut hints).await, hint);
    running.stop().await;
    assert_eq!(hints.next().await, None, "nothing else");
}

async fn a_listener_that_is_slow_is_told_and_loses_the_oldest(column: Column) {
    let broker = column.broker("slow", 1000);
    let few = ListenerSettings {
        buffer: 8,
        ..settings()
    };
    let (running, mut hints) = start(&broker, few);
    assert_eq!(hear(&mut hints).await, Hint::Missed(Missed::Connected));
    let (witness, mut heard) = listen(&broker).await;
    let mut lags = 0;
    // The first may still be on their way to the one when the other has heard the last: then it is not slow yet.
    for _ in 0..20 {
        let (all, expected): (Vec<_>, Vec<_>) = (0..100).map(read).unzip();
        publish(&broker, &all).await;
        for hint in &expected {
            assert_eq!(hear(&mut heard).await, *hint);
        }
        let mut left = expected.iter();
        loop {
            let hint = hear(&mut hints).await;
            if hint == Hint::Missed(Missed::Lagged) {
                lags += 1;
            } else {
                assert!(left.any(|expected| *expected == hint), "in order, each once: {hint:?}");
            }
            // The newest is never lost.
            if left.len() == 0 {
                break;
            }
        }
        if lags > 0 {
            break;
        }
    }
    assert!(lags > 0, "2,000 hints fit into a buffer of 8");
    witness.stop().await;
    running.stop().await;
}

async fn what_cannot_be_decoded_is_skipped(column: Column) {
    let broker = column.broker("garbage", 1000);
    let (running, mut hints) = listen(&broker).await;
    for kind in EventKind::ALL {
        let mut garbage = event(TraceHeaders::default());
        (garbage.kind, garbage.payload) = (kind, vec![0xff; 40]);
        publish(&broker, &[garbage]).await;
    }
    let (event, hint) = read(1);
    publish(&broker, &[event]).await;
    assert_eq!(hear(&mut hints).await, hint);
    running.stop().await;
}

async fn a_hint_that_nobody_hears_is_published_all_the_same(column: Column) {
    let broker = column.broker("unheard", 1000);
    publish(&broker, &[read(1).0, read(2).0]).await;
    let window = column.window(&broker).await;
    for queue in broker.topology().queues() {
        assert_eq!(window.ready(&queue.name).await, 0, "{}", queue.name);
    }
}

async fn a_directory_change_waits_in_its_work_queue(column: Column) {
    let broker = column.broker("directory", 1000);
    let (event, _) = changed();
    publish(&broker, &[read(1).0, event.clone(), sent().0]).await;
    let window = column.window(&broker).await;
    assert_eq!(window.ready(broker.topology().message_sent_queue()).await, 1);
    let waiting = window.drain(broker.topology().directory_changed_queue()).await;
    assert_eq!(waiting.into_keys().collect::<Vec<_>>(), [event.id]);
}

async fn the_relay_takes_every_kind_from_the_outbox(column: Column) {
    let (db, broker) = (column.outbox().await, column.broker("kinds", 1000));
    let (listening, mut hints) = listen(&broker).await;
    let relay = relay(&db, &broker);
    let relay = Running::start(|stop| relay.run(stop));
    for (event, hint) in [read(3), changed(), sent()] {
        write(&db, &[event]).await;
        assert_eq!(hear(&mut hints).await, hint);
    }
    eventually("an empty outbox", || async { rows(&db, "true").await == 0 }).await;
    relay.stop().await;
    listening.stop().await;
}

async fn what_is_refused_is_not_heard(column: Column) {
    let broker = column.broker("refused", 5);
    let (running, mut hints) = listen(&broker).await;
    let publisher = Publisher::new(broker.clone());
    let mut confirmed = Vec::new();
    loop {
        let (event, hint) = sent();
        match publisher.publish(&[event]).await.pop().unwrap() {
            Ok(()) => confirmed.push(hint),
            Err(_) => break,
        }
        assert!(confirmed.len() < 1000);
    }
    for hint in confirmed {
        assert_eq!(hear(&mut hints).await, hint);
    }
    running.stop().await;
}

#[tokio::test]
async fn a_listener_comes_back_with_the_broker() {
    let servers = Servers::private_parts("listener", Parts::RabbitMq).await;
    let broker = rabbitmq(&servers, "restart", 1000);
    let (running, mut hints) = listen(&broker).await;
    for kill in [false, true] {
        let (event, hint) = read(1);
        publish(&broker, &[event]).await;
        assert_eq!(hear(&mut hints).await, hint);
        if kill {
            servers.kill_rabbitmq().await;
        } else {
            servers.stop_rabbitmq().await;
        }
        servers.start_rabbitmq().await;
        assert_eq!(hear(&mut hints).await, Hint::Missed(Missed::Connected));
    }
    let (event, hint) = changed();
    publish(&broker, &[event]).await;
    assert_eq!(hear(&mut hints).await, hint);
    running.stop().await;
}

#[tokio::test]
async fn a_listener_that_was_cut_off_is_told_that_it_missed_something() {
    let servers = Servers::ensure().await;
    let direct = rabbitmq(&servers, "cut", 1000);
    let mut url: url::Url = servers.amqp_url().parse().unwrap();
    let address = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let wire = TcpProxy::start(address.parse().unwrap()).await;
    url.set_port(Some(wire.address().port())).unwrap();
    let over_the_wire = BrokerSettings::new(&url, "cut", direct.topology().clone()).unwrap();
    let publisher = Publisher::new(direct);
    let (running, mut hints) = listen(&over_the_wire).await;
    for revision in 0..3 {
        wire.cut().await;
        // Nobody hears this one, now or later: RabbitMQ drops the queue with the connection.
        let tries = wire.connections();
        let (event, missed) = read(revision);
        assert!(publisher.publish(&[event]).await.iter().all(Result::is_ok));
        wire.heal().await;
        assert_eq!(hear(&mut hints).await, Hint::Missed(Missed::Connected));
        assert!(wire.connections() > tries);
        let (event, heard) = read(revision + 100);
        assert!(publisher.publish(&[event]).await.iter().all(Result::is_ok));
        assert_eq!(hear(&mut hints).await, heard);
        assert_ne!(heard, missed);
    }
    running.stop().await;
    assert_eq!(hints.next().await, None, "a queue that was left is gone");
}

#[tokio::test]
async fn a_listener_waits_for_a_broker_that_is_not_there_yet() {
    let folder = tempfile::tempdir().unwrap();
    let later = folder.path().join("later");
    let broker = embedded(&later.join("broker.db"), 1000);
    let (running, mut hints) = start(&broker, settings());
    assert!(
        tokio::time::timeout(Duration::from_millis(300), hints.next())
            .await
            .is_err(),
        "there is nothing to hear"
    );
    std::fs::create_dir(&later).unwrap();
    assert_eq!(hear(&mut hints).await, Hint::Missed(Missed::Connected));
    let (event, hint) = read(1);
    publish(&broker, &[event]).await;
    assert_eq!(hear(&mut hints).await, hint);
    running.stop().await;
}
