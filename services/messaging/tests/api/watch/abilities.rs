//! Who is told when that reply ability may have changed: a change of the directory must not make every client ask at once.

use std::time::Duration;

use carepost_broker::publisher::Publisher;
use carepost_proto::{event::v1::DirectoryChanged, messaging::v1::watch_inbox_response::Event};
use tokio::time::{Instant, timeout};

use super::{PATIENCE, Watch, plan, publish};
use crate::support::{Column, DOCTOR, GUARDIAN, NURSE, ORGANIZATION, Service, on_both};

fn of_nurse() -> DirectoryChanged {
    DirectoryChanged {
        organization_id: ORGANIZATION.to_owned(),
        staff_ids: vec!["nurse".to_owned()],
        ..DirectoryChanged::default()
    }
}

/// Waits until the service hears events: until the nurse is told of her own record, at once.
async fn until_heard(publisher: &Publisher, nurse: &mut Watch) {
    let end = Instant::now() + PATIENCE;
    loop {
        publish(publisher, of_nurse()).await;
        if timeout(Duration::from_secs(1), nurse.ability()).await.is_ok() {
            return;
        }
        assert!(Instant::now() < end, "nobody hears");
    }
}

on_both!(who_is_named_is_told_at_once_and_nobody_else);
async fn who_is_named_is_told_at_once_and_nobody_else(column: Column) {
    let settings = "[watch]\nheartbeat_ms = 200\nabilities_spread_ms = 600000\n";
    let service = Service::start_as(column, "named", plan(settings)).await;
    let publisher = Publisher::new(service.broker.clone());
    let mut nurse = Watch::now(service.of(NURSE)).await;
    until_heard(&publisher, &mut nurse).await;
    let mut others = [
        Watch::now(service.of(DOCTOR)).await,
        Watch::now(service.of(GUARDIAN)).await,
    ];
    publish(&publisher, of_nurse()).await;
    timeout(PATIENCE, nurse.ability()).await.unwrap();
    for watch in &mut others {
        for _ in 0..5 {
            let told = watch.next().await.unwrap().event;
            assert!(matches!(told, Some(Event::Heartbeat(_))), "{told:?}");
        }
    }
}

on_both!(what_concerns_anybody_is_told_to_each_watch_at_a_time_of_its_own);
async fn what_concerns_anybody_is_told_to_each_watch_at_a_time_of_its_own(column: Column) {
    const SPREAD: Duration = Duration::from_secs(6);
    let settings = "[watch]\nheartbeat_ms = 200\nabilities_spread_ms = 6000\n";
    let service = Service::start_as(column, "spread", plan(settings)).await;
    let publisher = Publisher::new(service.broker.clone());
    let mut nurse = Watch::now(service.of(NURSE)).await;
    until_heard(&publisher, &mut nurse).await;
    let mut watches = Vec::new();
    for person in 0..12 {
        watches.push(Watch::now(service.of(&format!("staff/{person}"))).await);
    }
    let begun = Instant::now();
    let charts = DirectoryChanged {
        chart_ids: vec!["chart-1".to_owned()],
        staff_ids: Vec::new(),
        ..of_nurse()
    };
    for _ in 0..20 {
        publish(&publisher, charts.clone()).await;
    }
    let told = watches.iter_mut().map(async |watch| {
        timeout(PATIENCE, watch.ability()).await.unwrap();
        begun.elapsed()
    });
    let told = futures::future::join_all(told).await;
    let (first, last) = (told.iter().min().unwrap(), told.iter().max().unwrap());
    assert!(*last - *first > SPREAD / 12, "all at once: {told:?}");
    assert!(*last < 2 * SPREAD + Duration::from_secs(5), "{told:?}");
}
