//! The relay between a real PostgreSQL and a real RabbitMQ.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use carepost_broker::{
    consumer::Received, event::Event, settings::BrokerSettings, topology::Topology, trace::TraceHeaders,
};
use carepost_runtime::Clock;
use carepost_testkit::Servers;
use chrono::TimeDelta;
use common::*;
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

fn id(received: &Received) -> Uuid {
    received.message_id.as_ref().unwrap().parse().unwrap()
}

fn once(events: &[Event]) -> HashMap<Uuid, u32> {
    events.iter().map(|event| (event.id, 1)).collect()
}

#[tokio::test]
async fn a_commit_wakes_the_relay_and_the_trace_goes_with_the_event() {
    let servers = Servers::ensure().await;
    let (db, broker) = (outbox(&servers).await, broker(&servers, "wake", 1000));
    let mut relay = relay(&db, &broker);
    // Without being woken it would sleep through the test.
    relay.settings.poll = Duration::from_secs(3600);
    let wake = relay.wake.clone();
    let running = Running::start(|stop| relay.run(stop));
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);

    let trace = TraceHeaders::new(
        Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        None,
    );
    for _ in 0..2 {
        let event = event(trace.clone());
        let transaction = db.begin().await.unwrap();
        carepost_broker::outbox::insert(&transaction, &event).await.unwrap();
        transaction.commit().await.unwrap();
        wake.notify_one();
        let received = next(&mut kept).await;
        assert_eq!(received.message_id, Some(event.id.to_string()));
        assert_eq!((received.body, received.trace), (event.payload, trace.clone()));
        eventually("an empty outbox", || async { rows(&db, "true").await == 0 }).await;
    }
    running.stop().await;
    consumer.stop().await;
}

#[tokio::test]
async fn two_relays_publish_each_event_once() {
    let servers = Servers::ensure().await;
    let (db, broker) = (outbox(&servers).await, broker(&servers, "two", 10_000));
    let all = events(1000);
    write(&db, &all).await;
    let running: Vec<_> = (0..2)
        .map(|_| relay(&db, &broker))
        .map(|relay| Running::start(|stop| relay.run(stop)))
        .collect();
    eventually("an empty outbox", || async { rows(&db, "true").await == 0 }).await;
    for relay in running {
        relay.stop().await;
    }
    let window = Window::open(&servers).await;
    assert_eq!(window.drain(broker.topology().message_sent_queue()).await, once(&all));
}

#[tokio::test]
async fn what_a_dead_relay_had_taken_is_published_when_its_lease_ends() {
    let servers = Servers::ensure().await;
    let (db, line) = (outbox(&servers).await, Line::to(&servers.amqp_url()).await);
    let broker = broker(&servers, "dead", 10_000);
    let all = events(20);
    write(&db, &all).await;
    let clock = Clock::manual(Clock::system().now());
    let over_the_line = BrokerSettings::new(&line.url, "dead", broker.topology().clone()).unwrap();
    let mut dying = relay(&db, &over_the_line);
    dying.clock = clock.clone();
    dying.publisher.ready().await.unwrap();
    line.go_silent();
    let dying = Running::start(|stop| dying.run(stop));
    eventually("a claim", || async { rows(&db, "claim IS NOT NULL").await == 20 }).await;
    dying.kill().await;

    let mut successor = relay(&db, &broker);
    successor.clock = clock.clone();
    let fresh = events(1);
    let running = Running::start(|stop| successor.run(stop));
    write(&db, &fresh).await;
    let window = Window::open(&servers).await;
    eventually("what is free is published", || async { rows(&db, "true").await == 20 }).await;
    assert_eq!(rows(&db, "attempts = 1").await, 20, "the lease holds");
    assert_eq!(window.drain(broker.topology().message_sent_queue()).await, once(&fresh));
    clock.advance(TimeDelta::seconds(31));
    eventually("an empty outbox", || async { rows(&db, "true").await == 0 }).await;
    running.stop().await;
    assert_eq!(window.drain(broker.topology().message_sent_queue()).await, once(&all));
}

#[tokio::test]
async fn an_outage_of_the_broker_loses_nothing() {
    let servers = Servers::private("relay").await;
    let (db, broker) = (outbox(&servers).await, broker(&servers, "outage", 100_000));
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);
    let relay = relay(&db, &broker);
    let running = Running::start(|stop| relay.run(stop));
    let (enough, written) = (CancellationToken::new(), Arc::new(Mutex::new(HashSet::new())));
    let writing = tokio::spawn({
        let (db, enough, written) = (db.clone(), enough.clone(), written.clone());
        async move {
            while !enough.is_cancelled() {
                let batch = events(10);
                write(&db, &batch).await;
                written.lock().unwrap().extend(ids(&batch));
            }
        }
    });
    let mut got = HashSet::from([id(&next(&mut kept).await)]);
    servers.stop_rabbitmq().await;
    eventually("a backlog", || async { rows(&db, "true").await > 300 }).await;
    servers.start_rabbitmq().await;
    eventually("the relay at work again", || async { rows(&db, "true").await < 100 }).await;
    servers.kill_rabbitmq().await;
    servers.start_rabbitmq().await;
    enough.cancel();
    writing.await.unwrap();
    let written = written.lock().unwrap().clone();
    while got.len() < written.len() {
        got.insert(id(&next(&mut kept).await));
    }
    assert_eq!(got, written);
    eventually("an empty outbox", || async { rows(&db, "true").await == 0 }).await;
    running.stop().await;
    consumer.stop().await;
    let window = Window::open(&servers).await;
    for queue in broker.topology().queues() {
        assert_eq!(window.ready(&queue.name).await, 0, "{}", queue.name);
    }
}

#[tokio::test]
async fn a_full_queue_keeps_events_in_the_outbox() {
    let servers = Servers::ensure().await;
    let (db, broker) = (outbox(&servers).await, broker(&servers, "full-relay", 5));
    let all = events(300);
    write(&db, &all).await;
    let relay = relay(&db, &broker);
    let running = Running::start(|stop| relay.run(stop));
    eventually("a refusal", || async {
        rows(&db, "claim IS NULL AND attempts > 1").await > 0
    })
    .await;
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);
    let mut got = HashSet::new();
    while got.len() < all.len() {
        got.insert(id(&next(&mut kept).await));
    }
    eventually("an empty outbox", || async { rows(&db, "true").await == 0 }).await;
    running.stop().await;
    consumer.stop().await;
}

#[tokio::test]
async fn an_event_of_a_newer_version_holds_up_no_other() {
    let servers = Servers::ensure().await;
    let (db, broker) = (outbox(&servers).await, broker(&servers, "newer", 1000));
    write(&db, &events(1)).await;
    db.execute_unprepared("UPDATE outbox SET kind = 'message.recalled'")
        .await
        .unwrap();
    let known = events(5);
    write(&db, &known).await;
    let relay = relay(&db, &broker);
    let running = Running::start(|stop| relay.run(stop));
    eventually("the others published", || async {
        rows(&db, "kind = 'message.sent'").await == 0
    })
    .await;
    running.stop().await;
    assert_eq!(rows(&db, "kind = 'message.recalled' AND claim IS NULL").await, 1);
    let window = Window::open(&servers).await;
    assert_eq!(window.drain(broker.topology().message_sent_queue()).await, once(&known));
}

#[tokio::test]
async fn the_end_gives_back_what_the_broker_does_not_confirm() {
    let servers = Servers::ensure().await;
    let (db, line) = (outbox(&servers).await, Line::to(&servers.amqp_url()).await);
    let topology = Topology::new(&servers.unique_prefix("silent"), 1000).unwrap();
    let broker = BrokerSettings::new(&line.url, "silent", topology).unwrap();
    let mut relay = relay(&db, &broker);
    relay.settings.drain = Duration::from_millis(100);
    relay.publisher.ready().await.unwrap();
    line.go_silent();
    write(&db, &events(3)).await;
    let running = Running::start(|stop| relay.run(stop));
    eventually("a claim", || async { rows(&db, "claim IS NOT NULL").await == 3 }).await;
    let begin = Instant::now();
    running.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert_eq!(
        rows(&db, "claim IS NULL AND claimed_until < now() + interval '1 second'").await,
        3
    );
}
