//! What becomes of messages that cannot be handled, and of those under way when something stops, on both columns.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use carepost_broker::{
    consumer::{Consumer, ConsumerSettings, Verdict},
    event::Event,
    publisher::Publisher,
    settings::BrokerSettings,
};
use carepost_runtime::Clock;
use common::*;
use tokio::sync::Semaphore;
use uuid::Uuid;

on_both! {
    a_malformed_message_becomes_a_dead_letter_and_the_consumer_goes_on
    an_outage_of_a_dependency_pauses_and_then_delivers_everything
    the_end_finishes_what_is_under_way_and_gives_the_rest_back
    a_handler_that_does_not_end_cannot_hold_up_the_end
    what_a_dead_consumer_had_is_handed_out_again_in_order
    two_consumers_share_a_queue_and_see_each_event_once
    a_full_queue_of_dead_letters_pauses_the_consumer
}

/// Keeps the embedded broker's file open, as the relay of the same process does: what a consumer gives back is not free
/// merely because the file was closed.
async fn opened(broker: &BrokerSettings) -> Publisher {
    let publisher = Publisher::new(broker.clone());
    publisher.ready().await.unwrap();
    publisher
}

/// The ids of events in the order in which they are published.
fn order(events: &[Event]) -> Vec<Uuid> {
    events.iter().map(|event| event.id).collect()
}

async fn a_malformed_message_becomes_a_dead_letter_and_the_consumer_goes_on(column: Column) {
    let broker = column.broker("malformed", 1000);
    let batch = events(3);
    let bad = batch[1].clone();
    let (keep, mut kept) = keeping();
    let bad_id = bad.id.to_string();
    let consumer = consume(&broker, move |received| {
        let malformed = received.message_id.as_deref() == Some(&bad_id);
        let verdict = keep(received);
        async move {
            if malformed {
                Verdict::Malformed("no sender".into())
            } else {
                verdict.await
            }
        }
    });
    let publisher = Publisher::new(broker.clone());
    assert!(publisher.publish(&batch).await.iter().all(Result::is_ok));
    for _ in 0..3 {
        next(&mut kept).await;
    }
    let (window, dead) = (column.window(&broker).await, broker.topology().dead_letters());
    eventually("a dead letter", || async { window.ready(dead).await == 1 }).await;
    assert!(publisher.publish(&events(1)).await.iter().all(Result::is_ok));
    next(&mut kept).await;
    consumer.stop().await;

    let letter = window.letter(dead).await;
    assert_eq!((letter.id, letter.body), (bad.id.to_string(), bad.payload));
    assert_eq!(letter.reason, "no sender");
    assert_eq!(letter.queue, broker.topology().message_sent_queue());
    assert!(letter.time.ends_with('Z'));
    assert_eq!(window.ready(broker.topology().message_sent_queue()).await, 0);
}

async fn an_outage_of_a_dependency_pauses_and_then_delivers_everything(column: Column) {
    let broker = column.broker("unavailable", 1000);
    let (down, tries) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
    let (keep, mut kept) = keeping();
    let consumer = consume(&broker, {
        let (down, tries) = (down.clone(), tries.clone());
        move |received| {
            tries.fetch_add(1, Ordering::SeqCst);
            let verdict = (!down.load(Ordering::SeqCst)).then(|| keep(received));
            async move {
                match verdict {
                    Some(verdict) => verdict.await,
                    None => Verdict::Unavailable("the database does not answer".into()),
                }
            }
        }
    });
    let batch = events(40);
    publish(&broker, &batch).await;
    eventually("several pauses", || async { tries.load(Ordering::SeqCst) >= 12 }).await;
    down.store(false, Ordering::SeqCst);
    let mut got: Vec<Uuid> = Vec::new();
    for _ in &batch {
        let received = next(&mut kept).await;
        assert!(!received.redelivered, "nothing was given back");
        got.push(received.message_id.unwrap().parse().unwrap());
    }
    got.sort();
    assert_eq!(got, ids(&batch));
    consumer.stop().await;
    let window = column.window(&broker).await;
    for queue in broker.topology().queues() {
        assert_eq!(window.ready(&queue.name).await, 0);
    }
}

async fn the_end_finishes_what_is_under_way_and_gives_the_rest_back(column: Column) {
    let broker = column.broker("stop", 1000);
    let _open = opened(&broker).await;
    let batch = events(20);
    publish(&broker, &batch).await;
    let (begun, may_end) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
    let consumer = consume(&broker, {
        let (begun, may_end) = (begun.clone(), may_end.clone());
        move |_| {
            begun.fetch_add(1, Ordering::SeqCst);
            let may_end = may_end.clone();
            async move {
                may_end.acquire().await.unwrap().forget();
                Verdict::Done
            }
        }
    });
    let limit = consumer_settings(&broker).concurrency;
    eventually("handlers at work", || async { begun.load(Ordering::SeqCst) == limit }).await;
    let stopping = tokio::spawn(consumer.stop());
    may_end.add_permits(batch.len());
    stopping.await.unwrap();
    assert_eq!(
        begun.load(Ordering::SeqCst),
        limit,
        "no more than the limit, and none begun after the stop"
    );
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);
    let left: Vec<_> = order(&batch).split_off(limit);
    for expected in left {
        let received = next(&mut kept).await;
        assert_eq!((id(&received), received.redelivered), (expected, true));
    }
    consumer.stop().await;
}

async fn a_handler_that_does_not_end_cannot_hold_up_the_end(column: Column) {
    let broker = column.broker("stuck", 1000);
    let _open = opened(&broker).await;
    publish(&broker, &events(1)).await;
    let begun = Arc::new(AtomicUsize::new(0));
    let settings = ConsumerSettings {
        drain: Duration::from_millis(100),
        ..consumer_settings(&broker)
    };
    let consumer = Consumer::new(broker.clone(), Clock::system());
    let consumer = Running::start({
        let begun = begun.clone();
        |stop| {
            let handler = move |_| {
                begun.fetch_add(1, Ordering::SeqCst);
                std::future::pending()
            };
            consumer.run(settings, handler, stop)
        }
    });
    eventually("the handler at work", || async { begun.load(Ordering::SeqCst) == 1 }).await;
    consumer.stop().await;
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);
    assert!(next(&mut kept).await.redelivered);
    consumer.stop().await;
}

async fn what_a_dead_consumer_had_is_handed_out_again_in_order(column: Column) {
    let broker = column.broker("crash", 1000);
    let _open = opened(&broker).await;
    let batch = events(100);
    publish(&broker, &batch).await;
    let (keep, mut kept) = keeping();
    let settings = ConsumerSettings {
        concurrency: 1,
        prefetch: 10,
        ..consumer_settings(&broker)
    };
    let consumer = Consumer::new(broker.clone(), Clock::system());
    let (seen, first) = (Arc::new(AtomicUsize::new(0)), settings.clone());
    let dying = Running::start(|stop| {
        let handler = move |received| {
            let turn = seen.fetch_add(1, Ordering::SeqCst);
            let verdict = keep(received);
            async move {
                match turn {
                    0..20 => verdict.await,
                    _ => std::future::pending().await,
                }
            }
        };
        consumer.run(first, handler, stop)
    });
    let expected = order(&batch);
    for expected in &expected[..21] {
        let received = next(&mut kept).await;
        assert_eq!((id(&received), received.redelivered), (*expected, false));
    }
    // 20 are acknowledged, the next is handled still, and 9 are prefetched.
    let (window, queue) = (column.window(&broker).await, broker.topology().message_sent_queue());
    let ready = match column {
        Column::RabbitMq(_) => 70,
        Column::Embedded(_) => 80,
    };
    eventually("20 acknowledged", || async { window.ready(queue).await == ready }).await;
    dying.kill().await;
    // RabbitMQ takes a moment to find out.
    eventually("all is back", || async { window.ready(queue).await == 80 }).await;

    let (handler, mut kept) = keeping();
    let consumer = Consumer::new(broker.clone(), Clock::system());
    let consumer = Running::start(|stop| consumer.run(settings, handler, stop));
    for (index, expected) in expected.iter().enumerate().skip(20) {
        let received = next(&mut kept).await;
        assert_eq!(id(&received), *expected);
        assert!(index > 20 || received.redelivered);
    }
    consumer.stop().await;
    assert_eq!(window.ready(queue).await, 0);
}

async fn two_consumers_share_a_queue_and_see_each_event_once(column: Column) {
    let broker = column.broker("share", 1000);
    let (handler, mut kept) = keeping();
    let handler = Arc::new(handler);
    let consumers: Vec<_> = (0..2)
        .map(|_| {
            let handler = handler.clone();
            consume(&broker, move |received| handler(received))
        })
        .collect();
    let batch = events(500);
    publish(&broker, &batch).await;
    let mut got = Vec::new();
    for _ in &batch {
        got.push(id(&next(&mut kept).await));
    }
    for consumer in consumers {
        consumer.stop().await;
    }
    assert!(kept.try_recv().is_err(), "none came twice");
    got.sort();
    assert_eq!(got, ids(&batch));
}

async fn a_full_queue_of_dead_letters_pauses_the_consumer(column: Column) {
    let broker = column.broker("buried", 5);
    let tries = Arc::new(AtomicUsize::new(0));
    let consumer = consume(&broker, {
        let tries = tries.clone();
        move |_| {
            tries.fetch_add(1, Ordering::SeqCst);
            std::future::ready(Verdict::Malformed("on purpose".into()))
        }
    });
    let (window, dead) = (column.window(&broker).await, broker.topology().dead_letters());
    let mut there = 0;
    let publisher = Publisher::new(broker.clone());
    // RabbitMQ takes a few more than its limit.
    while there < 5 || tries.load(Ordering::SeqCst) <= there + 10 {
        publisher.publish(&events(1)).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        there = window.ready(dead).await as usize;
        assert!(there < 100, "a queue of 5 took {there}");
    }
    let freed = window.drain(dead).await.len();
    eventually("others in the place of those", || async {
        window.ready(dead).await > 0
    })
    .await;
    assert!(freed >= 5);
    consumer.stop().await;
}
