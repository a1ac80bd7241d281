//! What the tests of this crate share.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::{future::Future, sync::Arc, time::Duration};

use carepost_broker::{
    consumer::{Consumer, ConsumerSettings, Received, Verdict},
    event::Event,
    outbox,
    publisher::Publisher,
    relay::{Relay, RelaySettings},
    settings::BrokerSettings,
    trace::TraceHeaders,
};
use carepost_identity::OrganizationId;
use carepost_proto::event::v1::MessageSent;
use carepost_runtime::{Backoff, Clock, Ids};
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectionTrait, DatabaseConnection, Statement};
use tokio::{
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

mod column;

pub use column::*;

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const QUICK: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(300));

pub fn event(trace: TraceHeaders) -> Event {
    let now = Clock::system().now();
    let id = Ids.next(now);
    let payload = MessageSent {
        event_id: id.to_string(),
        organization_id: "southern".into(),
        sender: "staff/1".into(),
        recipients: vec!["portal/2".into()],
        ..MessageSent::default()
    };
    Event::message_sent(id, OrganizationId::parse("southern").unwrap(), &payload, trace, now)
}

pub fn events(count: usize) -> Vec<Event> {
    (0..count).map(|_| event(TraceHeaders::default())).collect()
}

pub fn ids(events: &[Event]) -> Vec<Uuid> {
    let mut ids: Vec<_> = events.iter().map(|event| event.id).collect();
    ids.sort();
    ids
}

/// Asks until the answer is yes.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut ask: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !ask().await {
        assert!(Instant::now() < deadline, "it never happened: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Something that runs until it is stopped.
pub struct Running {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start<F: Future<Output = ()> + Send + 'static>(run: impl FnOnce(CancellationToken) -> F) -> Self {
        let stop = CancellationToken::new();
        Self {
            task: tokio::spawn(run(stop.clone())),
            stop,
        }
    }

    /// Stops it, and fails unless it ends in good order and in time.
    pub async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("it ends")
            .expect("it does not panic");
    }

    /// Ends it on the spot, as a crash would.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

pub fn consumer_settings(broker: &BrokerSettings) -> ConsumerSettings {
    ConsumerSettings {
        backoff: QUICK,
        ..ConsumerSettings::new(broker.topology().message_sent_queue())
    }
}

pub fn consume<H, F>(broker: &BrokerSettings, handler: H) -> Running
where
    H: Fn(Received) -> F + Send + Sync + 'static,
    F: Future<Output = Verdict> + Send + 'static,
{
    let consumer = Consumer::new(broker.clone(), Clock::system());
    let settings = consumer_settings(broker);
    Running::start(|stop| consumer.run(settings, handler, stop))
}

/// Publishes events, all of which must be confirmed.
pub async fn publish(broker: &BrokerSettings, events: &[Event]) {
    let outcomes = Publisher::new(broker.clone()).publish(events).await;
    assert!(
        outcomes.len() == events.len() && outcomes.iter().all(Result::is_ok),
        "{outcomes:?}"
    );
}

/// A handler that keeps all it gets, and what it kept.
pub fn keeping() -> (
    impl Fn(Received) -> std::future::Ready<Verdict> + Send + Sync,
    mpsc::UnboundedReceiver<Received>,
) {
    let (kept, inspect) = mpsc::unbounded_channel();
    let handler = move |received| {
        kept.send(received).unwrap();
        std::future::ready(Verdict::Done)
    };
    (handler, inspect)
}

pub async fn next(kept: &mut mpsc::UnboundedReceiver<Received>) -> Received {
    tokio::time::timeout(PATIENCE, kept.recv())
        .await
        .expect("a message comes")
        .expect("the consumer lives")
}

pub async fn write(db: &DatabaseConnection, events: &[Event]) {
    for event in events {
        outbox::insert(db, event).await.unwrap();
    }
}

/// The id of an event that was received.
pub fn id(received: &Received) -> Uuid {
    received.message_id.as_ref().unwrap().parse().unwrap()
}

/// How many rows there are in an outbox.
pub async fn rows(db: &DatabaseConnection, condition: &str) -> i64 {
    rows_due(db, condition, DateTime::UNIX_EPOCH + TimeDelta::days(100_000)).await
}

/// How many rows there are in an outbox that a relay may take at a time.
pub async fn rows_due(db: &DatabaseConnection, condition: &str, at: DateTime<Utc>) -> i64 {
    let sql = format!("SELECT count(*) AS rows FROM outbox WHERE claimed_until <= $1 AND {condition}");
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [at.into()]);
    let row = db.query_one_raw(statement).await.unwrap();
    row.unwrap().try_get("", "rows").unwrap()
}

pub fn relay(db: &DatabaseConnection, broker: &BrokerSettings) -> Relay {
    Relay {
        db: db.clone(),
        publisher: Publisher::new(broker.clone()),
        clock: Clock::system(),
        ids: Ids,
        wake: Arc::new(Notify::new()),
        settings: RelaySettings {
            batch: 50,
            poll: Duration::from_millis(50),
            backoff: QUICK,
            ..RelaySettings::default()
        },
    }
}
