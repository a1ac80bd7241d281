//! Publisher and consumer on a real RabbitMQ.

mod common;

use carepost_broker::{
    consumer::Verdict,
    event::CONTENT_TYPE,
    publisher::{PublishError, RabbitPublisher},
    trace::TraceHeaders,
};
use carepost_proto::event::v1::MessageSent;
use carepost_testkit::Servers;
use common::*;
use lapin::types::FieldTable;
use opentelemetry::{global, trace::TracerProvider as _};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use prost::Message;
use tracing_subscriber::layer::SubscriberExt;

#[tokio::test]
async fn an_event_arrives_as_it_was_with_its_trace() {
    let servers = Servers::ensure().await;
    let broker = broker(&servers, "round-trip", 1000);
    let publisher = RabbitPublisher::new(broker.clone());
    let trace = TraceHeaders {
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
        tracestate: Some("vendor=1".into()),
    };
    let event = event(trace.clone());
    let (handler, mut kept) = keeping();
    let consumer = consume(&broker, handler);
    assert!(
        publisher
            .publish(std::slice::from_ref(&event))
            .await
            .iter()
            .all(Result::is_ok)
    );

    let received = next(&mut kept).await;
    assert_eq!(received.message_id.as_deref(), Some(event.id.to_string().as_str()));
    assert_eq!(received.message_type.as_deref(), Some("carepost.event.v1.MessageSent"));
    assert_eq!(
        (received.routing_key.as_str(), received.redelivered),
        ("message.sent", false)
    );
    assert_eq!((&received.body, &received.trace), (&event.payload, &trace));
    let payload = MessageSent::decode(received.body.as_slice()).unwrap();
    assert_eq!(payload.event_id, event.id.to_string());
    consumer.stop().await;
    let window = Window::open(&servers).await;
    assert_eq!(window.ready(broker.topology().message_sent_queue()).await, 0);
}

#[tokio::test]
async fn the_handler_works_in_the_trace_of_the_event() {
    global::set_text_map_propagator(TraceContextPropagator::new());
    let tracer = SdkTracerProvider::builder().build().tracer("test");
    let layer = tracing_opentelemetry::layer().with_tracer(tracer);
    // For this thread, on which the whole test runs.
    let _guard = tracing::subscriber::set_default(tracing_subscriber::registry().with(layer));
    let servers = Servers::ensure().await;
    let broker = broker(&servers, "trace", 1000);

    let request = tracing::info_span!("request");
    let sent = TraceHeaders::of(&request).traceparent.unwrap();
    let event = request.in_scope(|| event(TraceHeaders::current()));
    let (seen, mut inspect) = tokio::sync::mpsc::unbounded_channel();
    let consumer = consume(&broker, move |_| {
        let seen = seen.clone();
        async move {
            seen.send(TraceHeaders::current()).unwrap();
            Verdict::Done
        }
    });
    assert!(
        RabbitPublisher::new(broker.clone())
            .publish(&[event])
            .await
            .iter()
            .all(Result::is_ok)
    );
    let handled = tokio::time::timeout(PATIENCE, inspect.recv())
        .await
        .unwrap()
        .unwrap()
        .traceparent
        .unwrap();
    let (trace, span) = (
        |text: &str| text[3..35].to_owned(),
        |text: &str| text[36..52].to_owned(),
    );
    assert_eq!(trace(&handled), trace(&sent));
    assert_ne!(span(&handled), span(&sent));
    consumer.stop().await;
}

#[tokio::test]
async fn an_event_survives_the_broker_and_says_what_it_is() {
    let servers = Servers::ensure().await;
    let broker = broker(&servers, "properties", 1000);
    let event = event(TraceHeaders::default());
    RabbitPublisher::new(broker.clone())
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
    let broker = broker(&servers, "unroutable", 1000);
    let publisher = RabbitPublisher::new(broker.clone());
    publisher.ready().await.unwrap();
    let (window, topology) = (Window::open(&servers).await, broker.topology());
    let (queue, exchange) = (topology.message_sent_queue().into(), topology.events().into());
    window
        .1
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
async fn a_full_queue_refuses_and_what_it_took_is_there() {
    let servers = Servers::ensure().await;
    let broker = broker(&servers, "full", 5);
    let publisher = RabbitPublisher::new(broker.clone());
    let mut taken = 0;
    loop {
        let outcomes = publisher.publish(&events(20)).await;
        taken += outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        if outcomes
            .iter()
            .any(|outcome| matches!(outcome, Err(PublishError::Refused)))
        {
            break;
        }
        assert!(taken < 1000, "a queue of 5 took {taken}");
    }
    let window = Window::open(&servers).await;
    let there = window.drain(broker.topology().message_sent_queue()).await;
    assert!(there.len() >= taken);
    assert_eq!(window.ready(broker.topology().dead_letters()).await, 0);
}

#[tokio::test]
async fn a_broker_that_is_not_there_is_an_error_for_each_event_in_time() {
    let url = format!("amqp://127.0.0.1:{}/%2f", carepost_testkit::ports::free_port())
        .parse()
        .unwrap();
    let topology = carepost_broker::topology::Topology::default();
    let settings = carepost_broker::settings::BrokerSettings::new(&url, "absent", topology).unwrap();
    let begin = std::time::Instant::now();
    let outcomes = RabbitPublisher::new(settings).publish(&events(3)).await;
    assert!(
        outcomes.len() == 3
            && outcomes
                .iter()
                .all(|outcome| matches!(outcome, Err(error) if error.is_outage()))
    );
    assert!(begin.elapsed().as_secs() < 6);
}
