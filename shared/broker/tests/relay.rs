//! The relay, on both columns.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    collections::{HashMap, HashSet},
    time::{Duration, Instant},
};

use carepost_broker::{event::Event, trace::TraceHeaders};
use carepost_runtime::Clock;
use chrono::{DateTime, TimeDelta};
use common::*;
use sea_orm::{ConnectionTrait, Statement, TransactionTrait};
use uuid::Uuid;

fn once(events: &[Event]) -> HashMap<Uuid, u32> {
    events.iter().map(|event| (event.id, 1)).collect()
}

on_both! {
    a_commit_wakes_the_relay_and_the_trace_goes_with_the_event
    two_relays_publish_each_event_once
    what_a_dead_relay_had_taken_is_published_when_its_lease_ends
    a_full_queue_keeps_events_in_the_outbox
    an_event_of_a_newer_version_holds_up_no_other
    the_end_gives_back_what_the_broker_does_not_confirm
    a_lease_ends_at_its_microsecond
}

async fn a_commit_wakes_the_relay_and_the_trace_goes_with_the_event(column: Column) {
    let (db, broker) = (column.outbox().await, column.broker("wake", 1000));
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

async fn two_relays_publish_each_event_once(column: Column) {
    let (db, broker) = (column.outbox().await, column.broker("two", 10_000));
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
    let window = column.window(&broker).await;
    assert_eq!(window.drain(broker.topology().message_sent_queue()).await, once(&all));
}

async fn what_a_dead_relay_had_taken_is_published_when_its_lease_ends(column: Column) {
    let db = column.outbox().await;
    let (broker, over_the_line, line) = column.broker_and_line("dead", 10_000).await;
    let all = events(20);
    write(&db, &all).await;
    let clock = Clock::manual(Clock::system().now());
    let mut dying = relay(&db, &over_the_line);
    dying.clock = clock.clone();
    dying.publisher.ready().await.unwrap();
    let silence = line.go_silent().await;
    let dying = Running::start(|stop| dying.run(stop));
    eventually("a claim", || async { rows(&db, "claim IS NOT NULL").await == 20 }).await;
    dying.kill().await;
    drop(silence);

    let mut successor = relay(&db, &broker);
    successor.clock = clock.clone();
    let fresh = events(1);
    let running = Running::start(|stop| successor.run(stop));
    write(&db, &fresh).await;
    let window = column.window(&broker).await;
    eventually("what is free is published", || async { rows(&db, "true").await == 20 }).await;
    assert_eq!(rows(&db, "attempts = 1").await, 20, "the lease holds");
    assert_eq!(window.drain(broker.topology().message_sent_queue()).await, once(&fresh));
    clock.advance(TimeDelta::seconds(31));
    eventually("an empty outbox", || async { rows(&db, "true").await == 0 }).await;
    running.stop().await;
    assert_eq!(window.drain(broker.topology().message_sent_queue()).await, once(&all));
}

async fn a_full_queue_keeps_events_in_the_outbox(column: Column) {
    let (db, broker) = (column.outbox().await, column.broker("full-relay", 5));
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

async fn an_event_of_a_newer_version_holds_up_no_other(column: Column) {
    let (db, broker) = (column.outbox().await, column.broker("newer", 1000));
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
    let window = column.window(&broker).await;
    assert_eq!(window.drain(broker.topology().message_sent_queue()).await, once(&known));
}

async fn the_end_gives_back_what_the_broker_does_not_confirm(column: Column) {
    let db = column.outbox().await;
    let (_, over_the_line, line) = column.broker_and_line("silent", 1000).await;
    let mut relay = relay(&db, &over_the_line);
    relay.settings.drain = Duration::from_millis(100);
    relay.publisher.ready().await.unwrap();
    let _silence = line.go_silent().await;
    write(&db, &events(3)).await;
    let running = Running::start(|stop| relay.run(stop));
    eventually("a claim", || async { rows(&db, "claim IS NOT NULL").await == 3 }).await;
    let begin = Instant::now();
    running.stop().await;
    assert!(begin.elapsed() < Duration::from_secs(4));
    let soon = Clock::system().now() + TimeDelta::seconds(1);
    assert_eq!(rows_due(&db, "claim IS NULL", soon).await, 3);
}

async fn a_lease_ends_at_its_microsecond(column: Column) {
    let db = column.outbox().await;
    write(&db, &events(1)).await;
    // SQLite keeps times as texts, whose length follows their precision.
    for micros in [
        0,
        1,
        500_000,
        999_999,
        1_000_000,
        1_700_000_000_000_000,
        1_700_000_000_123_456,
    ] {
        let end = DateTime::UNIX_EPOCH + TimeDelta::microseconds(micros);
        let sql = "UPDATE outbox SET claimed_until = $1";
        let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [end.into()]);
        db.execute_raw(statement).await.unwrap();
        for (later, due) in [
            (-1_000_000, 0),
            (-1_000, 0),
            (-1, 0),
            (0, 1),
            (1, 1),
            (1_000, 1),
            (1_000_000, 1),
        ] {
            let at = end + TimeDelta::microseconds(later);
            assert_eq!(rows_due(&db, "true", at).await, due, "{end} at {at}");
        }
    }
}
