//! What is published, on both columns.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod common;

use std::sync::Once;

use carepost_broker::{
    consumer::Verdict,
    publisher::{PublishError, Publisher},
    trace::TraceHeaders,
};
use carepost_proto::event::v1::MessageSent;
use common::*;
use opentelemetry::{global, trace::TracerProvider as _};
use opentelemetry_sdk::{propagation::TraceContextPropagator, trace::SdkTracerProvider};
use prost::Message;
use tracing_subscriber::layer::SubscriberExt;

on_both! {
    an_event_arrives_as_it_was_with_its_trace
    the_handler_works_in_the_trace_of_the_event
    a_full_queue_refuses_and_what_it_took_is_there
}

/// Spans are made in this whole process, as in a service. Every test begins with it: where one thread alone had a subscriber,
/// another that came first to a span of the consumer would have turned it off for all.
fn traced() {
    static TRACED: Once = Once::new();
    TRACED.call_once(|| {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let tracer = SdkTracerProvider::builder().build().tracer("test");
        let layer = tracing_opentelemetry::layer().with_tracer(tracer);
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
    });
}

async fn an_event_arrives_as_it_was_with_its_trace(column: Column) {
    traced();
    let broker = column.broker("round-trip", 1000);
    let publisher = Publisher::new(broker.clone());
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
    let window = column.window(&broker).await;
    assert_eq!(window.ready(broker.topology().message_sent_queue()).await, 0);
}

async fn the_handler_works_in_the_trace_of_the_event(column: Column) {
    traced();
    let broker = column.broker("trace", 1000);

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
    publish(&broker, &[event]).await;
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

async fn a_full_queue_refuses_and_what_it_took_is_there(column: Column) {
    traced();
    let broker = column.broker("full", 5);
    let publisher = Publisher::new(broker.clone());
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
    let window = column.window(&broker).await;
    let there = window.drain(broker.topology().message_sent_queue()).await;
    assert!(there.len() >= taken);
    assert_eq!(window.ready(broker.topology().dead_letters()).await, 0);
}
