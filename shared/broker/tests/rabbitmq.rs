//! What RabbitMQ alone has: outages of the broker, its properties and its bindings.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use carepost_broker::{
    consumer::{Received, Verdict},
    dead_letters::DeadLetters,
    event::CONTENT_TYPE,
    publisher::{PublishError, Publisher},
    trace::TraceHeaders,
};
use carepost_runtime::Clock;
use carepost_testkit::{Servers, servers::Parts};
use common::*;
use lapin::{
    BasicProperties,
    options::{BasicGetOptions, BasicPublishOptions, BasicRejectOptions},
    types::FieldTable,
};
use tokio_util::sync::CancellationToken;

#[tokio::test]
async fn an_event_survives_the_broker_and_says_what_it_is() {
    let servers = Servers::ensure().await;
    let broker = rabbitmq(&servers, "properties", 1000);
    let event = event(TraceHeaders::default());
    Publisher::new(broker.clone())
        .publish(std::slice::from_ref(&event))
        .await
        .pop()
        .unwrap()
        .unwrap();
    let window = Window::open(&servers).await;
    let properties = window
        .take(broker.topology().message_sent_queue())
        .await
        .unwrap()
        .properties;
    assert_eq!(*properties.delivery_mode(), Some(2));
    assert_eq!(properties.content_type().as_ref().unwrap().as_str(), CONTENT_TYPE);
    assert_eq!(
        *properties.timestamp(),
        Some(u64::try_from(event.occurred_at.timestamp()).unwrap())
    );
}

#[tokio::test]
async fn an_event_without_a_queue_is_a_failure_and_mends_the_topology() {
    let servers = Servers::ensure().await;
    let broker = rabbitmq(&servers, "unroutable", 1000);
    let publisher = Publisher::new(broker.clone());
    publisher.ready().await.unwrap();
    let (window, topology) = (Window::open(&servers).await, broker.topology());
    let (queue, exchange) = (topology.message_sent_queue().into(), topology.events().into());
    window
        .channel()
        .queue_unbind(queue, exchange, "message.sent".into(), FieldTable::default())
        .await
        .unwrap();

    let outcomes = publisher.publish(&events(3)).await;
    assert_eq!(outcomes.len(), 3);
    assert!(
        outcomes
            .iter()
            .all(|outcome| matches!(outcome, Err(PublishError::Unroutable))),
        "{outcomes:?}"
    );
    assert!(publisher.publish(&events(3)).await.iter().all(Result::is_ok));
    assert_eq!(window.ready(topology.message_sent_queue()).await, 3);
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_an_error_for_each_event_in_time() {
    let url = format!("amqp://127.0.0.1:{}/%2f", carepost_testkit::ports::free_port())
        .parse()
        .unwrap();
    let topology = carepost_broker::topology::Topology::default();
    let settings = carepost_broker::settings::BrokerSettings::new(&url, "absent", topology).unwrap();
    let begin = std::time::Instant::now();
    let outcomes = Publisher::new(settings).publish(&events(3)).await;
    assert!(
        outcomes.len() == 3
            && outcomes
                .iter()
                .all(|outcome| matches!(outcome, Err(error) if error.is_outage()))
    );
    assert!(begin.elapsed().as_secs() < 6);
}
#[tokio::test]
async fn a_consumer_comes_back_with_the_broker() {
    let servers = Servers::private_parts("consumer", Parts::RabbitMq).await;
    let broker = rabbitmq(&servers, "restart", 1000);
    let publisher = Publisher::new(broker.clone());
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
#[tokio::test]
async fn an_outage_of_the_broker_loses_nothing() {
    let servers = Servers::private("relay").await;
    let (db, broker) = (postgres(&servers).await, rabbitmq(&servers, "outage", 100_000));
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
async fn a_malformed_message_without_an_id_is_not_lost_with_the_binding_of_the_dead_letters() {
    let servers = Servers::ensure().await;
    let broker = rabbitmq(&servers, "nameless", 1000);
    let (queue, dead) = (broker.topology().message_sent_queue(), broker.topology().dead_letters());
    let deaths = Arc::new(AtomicUsize::new(0));
    let handler = {
        let deaths = deaths.clone();
        move |received: Received| {
            deaths.fetch_add(1, Ordering::SeqCst);
            assert_eq!(received.message_id, None);
            std::future::ready(Verdict::Malformed("nameless".into()))
        }
    };
    let consumer = consume(&broker, handler);
    Publisher::new(broker.clone()).ready().await.unwrap();
    let window = Window::open(&servers).await;
    // The first makes the connection for dead letters, behind which nothing is declared again.
    for expected in 1..=2 {
        publish_bare(&window, queue, &[expected]).await;
        eventually("a dead letter", || async {
            window.ready(dead).await == u32::from(expected)
        })
        .await;
        let unbinding = window
            .channel()
            .queue_unbind(dead.into(), dead.into(), "".into(), FieldTable::default());
        unbinding.await.unwrap();
    }
    assert_eq!(
        deaths.load(Ordering::SeqCst),
        3,
        "the second could not be routed at first"
    );
    consumer.stop().await;

    let letters = DeadLetters::new(broker.clone());
    let page = letters.list(0, 10).await.unwrap().letters;
    assert_eq!(page.iter().map(|letter| letter.body[0]).collect::<Vec<_>>(), [1, 2]);
    letters.redrive(&page[1].id).await.unwrap();
    assert_eq!(window.take(queue).await.unwrap().data, [2]);
    assert_eq!(letters.list(0, 10).await.unwrap().letters, page[..1]);
}

/// Publishes a message without properties to a queue.
async fn publish_bare(window: &Window, queue: &str, body: &[u8]) {
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    let publishing = window
        .channel()
        .basic_publish("".into(), queue.into(), options, body, properties);
    publishing.await.unwrap();
}

#[tokio::test]
async fn what_the_broker_itself_gave_up_can_be_sent_back() {
    let servers = Servers::ensure().await;
    let broker = rabbitmq(&servers, "given-up", 1000);
    let event = event(TraceHeaders::default());
    publish(&broker, std::slice::from_ref(&event)).await;
    let (window, topology) = (Window::open(&servers).await, broker.topology());
    let (queue, begin) = (topology.message_sent_queue(), Clock::system().now());
    let options = BasicGetOptions { no_ack: false };
    let got = window
        .channel()
        .basic_get(queue.into(), options)
        .await
        .unwrap()
        .unwrap();
    assert!(
        got.delivery
            .acker
            .reject(BasicRejectOptions { requeue: false })
            .await
            .unwrap()
    );
    eventually("a dead letter", || async {
        window.ready(topology.dead_letters()).await == 1
    })
    .await;

    let letters = DeadLetters::new(broker.clone());
    let letter = letters.list(0, 10).await.unwrap().letters.pop().unwrap();
    assert_eq!(
        (letter.queue.as_deref(), letter.reason.as_deref()),
        (Some(queue), Some("rejected"))
    );
    assert_eq!(
        (&letter.body, letter.routing_key.as_str()),
        (&event.payload, "message.sent")
    );
    assert!((letter.time.unwrap() - begin).num_seconds().abs() < 60);
    letters.redrive(&letter.id).await.unwrap();
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);
    let received = next(&mut kept).await;
    assert_eq!(
        (id(&received), received.routing_key.as_str()),
        (event.id, "message.sent")
    );
    consumer.stop().await;
}
