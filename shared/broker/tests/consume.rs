//! What becomes of messages that cannot be handled, and of those under way when something stops.

mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use carepost_broker::{
    consumer::{DEAD_QUEUE, DEAD_REASON, DEAD_TIME, Verdict},
    publisher::RabbitPublisher,
};
use carepost_testkit::{Servers, servers::Parts};
use common::*;
use tokio::sync::Semaphore;
use uuid::Uuid;

#[tokio::test]
async fn a_malformed_message_becomes_a_dead_letter_and_the_consumer_goes_on() {
    let servers = Servers::ensure().await;
    let broker = broker(&servers, "malformed", 1000);
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
    let publisher = RabbitPublisher::new(broker.clone());
    assert!(publisher.publish(&batch).await.iter().all(Result::is_ok));
    for _ in 0..3 {
        next(&mut kept).await;
    }
    let (window, dead) = (Window::open(&servers).await, broker.topology().dead_letters());
    eventually("a dead letter", || async { window.ready(dead).await == 1 }).await;
    assert!(publisher.publish(&events(1)).await.iter().all(Result::is_ok));
    next(&mut kept).await;
    consumer.stop().await;

    let letter = window.take(dead).await.unwrap();
    assert_eq!(letter.data, bad.payload);
    assert_eq!(
        letter.properties.message_id().as_ref().unwrap().as_str(),
        bad.id.to_string()
    );
    let headers = letter.properties.headers().as_ref().unwrap().inner();
    let header = |name: &str| headers[name].as_long_string().unwrap().to_string();
    assert_eq!(header(DEAD_REASON), "no sender");
    assert_eq!(header(DEAD_QUEUE), broker.topology().message_sent_queue());
    assert!(header(DEAD_TIME).ends_with('Z'));
    assert_eq!(window.ready(broker.topology().message_sent_queue()).await, 0);
}

#[tokio::test]
async fn an_outage_of_a_dependency_pauses_and_then_delivers_everything() {
    let servers = Servers::ensure().await;
    let broker = broker(&servers, "unavailable", 1000);
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
    assert!(
        RabbitPublisher::new(broker.clone())
            .publish(&batch)
            .await
            .iter()
            .all(Result::is_ok)
    );
    eventually("several pauses", || async { tries.load(Ordering::SeqCst) >= 12 }).await;
    let window = Window::open(&servers).await;
    assert_eq!(
        window.ready(broker.topology().message_sent_queue()).await,
        0,
        "nothing was given back"
    );
    down.store(false, Ordering::SeqCst);
    let mut got: Vec<Uuid> = Vec::new();
    for _ in &batch {
        let received = next(&mut kept).await;
        assert!(!received.redelivered);
        got.push(received.message_id.unwrap().parse().unwrap());
    }
    got.sort();
    assert_eq!(got, ids(&batch));
    consumer.stop().await;
    for queue in broker.topology().queues() {
        assert_eq!(window.ready(&queue.name).await, 0);
    }
}

#[tokio::test]
async fn the_end_finishes_what_is_under_way_and_gives_the_rest_back() {
    let servers = Servers::ensure().await;
    let broker = broker(&servers, "stop", 1000);
    let batch = events(20);
    assert!(
        RabbitPublisher::new(broker.clone())
            .publish(&batch)
            .await
            .iter()
            .all(Result::is_ok)
    );
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
    let (window, queue) = (Window::open(&servers).await, broker.topology().message_sent_queue());
    let left = u32::try_from(batch.len() - limit).unwrap();
    eventually("the rest is back", || async { window.ready(queue).await == left }).await;
}

#[tokio::test]
async fn a_handler_that_does_not_end_cannot_hold_up_the_end() {
    let servers = Servers::ensure().await;
    let broker = broker(&servers, "stuck", 1000);
    assert!(
        RabbitPublisher::new(broker.clone())
            .publish(&events(1))
            .await
            .iter()
            .all(Result::is_ok)
    );
    let begun = Arc::new(AtomicUsize::new(0));
    let settings = carepost_broker::consumer::ConsumerSettings {
        drain: Duration::from_millis(100),
        ..consumer_settings(&broker)
    };
    let consumer = carepost_broker::consumer::Consumer::new(broker.clone(), carepost_runtime::Clock::system());
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
    let (window, queue) = (Window::open(&servers).await, broker.topology().message_sent_queue());
    eventually("the message is back", || async { window.ready(queue).await == 1 }).await;
}

#[tokio::test]
async fn a_consumer_comes_back_with_the_broker() {
    let servers = Servers::private_parts("consumer", Parts::RabbitMq).await;
    let broker = broker(&servers, "restart", 1000);
    let publisher = RabbitPublisher::new(broker.clone());
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);
    let before = events(1);
    assert!(publisher.publish(&before).await.iter().all(Result::is_ok));
    assert_eq!(next(&mut kept).await.message_id, Some(before[0].id.to_string()));

    servers.stop_rabbitmq().await;
    assert!(publisher.publish(&events(1)).await.iter().all(Result::is_err));
    servers.start_rabbitmq().await;
    let after = events(1);
    eventually("the publisher is back", || async {
        publisher.publish(&after).await.iter().all(Result::is_ok)
    })
    .await;
    assert_eq!(next(&mut kept).await.message_id, Some(after[0].id.to_string()));

    servers.kill_rabbitmq().await;
    servers.start_rabbitmq().await;
    let last = events(1);
    eventually("the publisher is back", || async {
        publisher.publish(&last).await.iter().all(Result::is_ok)
    })
    .await;
    while next(&mut kept).await.message_id != Some(last[0].id.to_string()) {}
    consumer.stop().await;
}
