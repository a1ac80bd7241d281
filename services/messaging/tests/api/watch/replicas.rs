//! Any replica serves any person, and an outage of the broker costs time alone.

use std::{net::SocketAddr, time::Duration};

use carepost_proto::messaging::v1::watch_inbox_response::Event;
use carepost_testkit::{Servers, TcpProxy};
use tokio::time::Instant;
use tonic::Code;
use url::Url;

use super::{NEVER, OFTEN, Watch, plan};
use crate::support::{Column, GUARDIAN, NURSE, Plan, Service, on_both, reply_to};

on_both!(i7_a_watch_hears_what_another_replica_accepts);
async fn i7_a_watch_hears_what_another_replica_accepts(column: Column) {
    let service = Service::start_as(column, "replicas", plan(NEVER)).await;
    let other = service.another().await;
    let id = service.start_portal().await.conversation_id;
    let mut here = Watch::now(service.of(GUARDIAN)).await;
    let mut there = Watch::now(service.of_at(&other, GUARDIAN)).await;
    for sequence in 2..6 {
        let client = if sequence % 2 == 0 {
            service.of(NURSE)
        } else {
            service.of_at(&other, NURSE)
        };
        { client }.reply(reply_to(&id)).await.unwrap();
        for watch in [&mut here, &mut there] {
            assert_eq!(watch.changed().await.2.last_sequence, sequence);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_too_old_keeps_its_watches() {
    const AGE: Duration = Duration::from_secs(10);
    let service = Service::start_as(Column::Embedded, "age", plan(OFTEN)).await;
    let young = [("[server]\n", "[server]\nmax_connection_age_seconds = 10\n")];
    let other = service.another_with(&young).await;
    let id = service.start_portal().await.conversation_id;
    let opened = Instant::now();
    let mut watch = Watch::now(service.of_at(&other, GUARDIAN)).await;
    while opened.elapsed() < AGE + AGE / 5 {
        watch.next().await.unwrap();
    }
    // The watch goes on on the old connection, and calls find a new one: the first of them learns here that it has to, and was
    // not sent.
    let (request, mut nurse) = (reply_to(&id), service.of_at(&other, NURSE));
    if let Err(unsent) = nurse.reply(request.clone()).await {
        assert_eq!(unsent.code(), Code::Cancelled, "{unsent:?}");
        nurse.reply(request).await.unwrap();
    }
    assert_eq!(watch.changed().await.2.last_sequence, 2);
}

/// A way to the broker that can be cut.
async fn way_to_the_broker() -> (TcpProxy, SocketAddr) {
    let url: Url = Servers::ensure().await.amqp_url().parse().unwrap();
    let broker = SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()));
    (TcpProxy::start(broker).await, broker)
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_broker_changes_come_with_the_heartbeat() {
    let (way, broker) = way_to_the_broker().await;
    let plan = Plan {
        broker: Some(way.address()),
        ..plan(OFTEN)
    };
    let service = Service::start_as(Column::Real, "deaf", plan).await;
    let direct = [(&*way.address().to_string(), &*broker.to_string())];
    let other = service.another_with(&direct).await;
    let id = service.start_portal().await.conversation_id;
    let mut watch = Watch::now(service.of(GUARDIAN)).await;
    way.cut().await;
    for sequence in 2..5 {
        service.of_at(&other, NURSE).reply(reply_to(&id)).await.unwrap();
        assert_eq!(watch.changed().await.2.last_sequence, sequence);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_heard_is_looked_up_once_the_broker_is_back() {
    let (way, broker) = way_to_the_broker().await;
    let plan = Plan {
        broker: Some(way.address()),
        ..plan(NEVER)
    };
    let service = Service::start_as(Column::Real, "back", plan).await;
    let direct = [(&*way.address().to_string(), &*broker.to_string())];
    let other = service.another_with(&direct).await;
    let id = service.start_portal().await.conversation_id;
    // It listens: what may have been missed before that is told once.
    let mut nurse = Watch::now(service.of(NURSE)).await;
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    nurse.changed().await;
    let mut watch = Watch::now(service.of(GUARDIAN)).await;
    let mut heard_there = Watch::now(service.of_at(&other, GUARDIAN)).await;
    way.cut().await;
    service.of_at(&other, NURSE).reply(reply_to(&id)).await.unwrap();
    // It has been published, and is gone for those who could not hear it.
    heard_there.changed().await;
    way.heal().await;
    // Who can reply may have changed unheard as well. The two are told in any order.
    let (mut changed, mut abilities) = (false, false);
    while !(changed && abilities) {
        match watch.next().await.unwrap().event {
            Some(Event::ConversationChanged(told)) => {
                assert_eq!(told.conversation.unwrap().last_sequence, 3);
                changed = true;
            }
            Some(Event::ReplyAbilityMayHaveChanged(_)) => abilities = true,
            other => panic!("{other:?}"),
        }
    }
}
