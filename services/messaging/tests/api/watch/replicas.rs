//! Any replica serves any person, and an outage of the broker costs time alone.

use std::net::SocketAddr;

use carepost_testkit::{Servers, TcpProxy};
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
    let mut watch = Watch::now(service.of(GUARDIAN)).await;
    let mut heard_there = Watch::now(service.of_at(&other, GUARDIAN)).await;
    way.cut().await;
    service.of_at(&other, NURSE).reply(reply_to(&id)).await.unwrap();
    // It has been published, and is gone for those who could not hear it.
    heard_there.changed().await;
    way.heal().await;
    assert_eq!(watch.changed().await.2.last_sequence, 2);
    // Who can reply may have changed unheard as well.
    watch.ability().await;
}
