//! What the tests of this crate share: a topology of their own, a way to look into queues, an outbox in a database of its own.

#![allow(dead_code, reason = "each test binary uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests")]

use std::{collections::HashMap, future::Future, sync::Arc, time::Duration};

use carepost_broker::{
    consumer::{Consumer, ConsumerSettings, Received, Verdict},
    event::Event,
    outbox,
    publisher::RabbitPublisher,
    relay::{Relay, RelaySettings},
    settings::BrokerSettings,
    topology::Topology,
    trace::TraceHeaders,
};
use carepost_identity::OrganizationId;
use carepost_proto::event::v1::MessageSent;
use carepost_runtime::{Backoff, Clock, Ids};
use carepost_testkit::Servers;
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, QueueDeclareOptions},
    types::FieldTable,
};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, Statement};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Notify, mpsc},
    task::JoinHandle,
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const QUICK: Backoff = Backoff::new(Duration::from_millis(20), Duration::from_millis(300));

/// Settings for a topology that no other test has.
pub fn broker(servers: &Servers, hint: &str, max_length: u32) -> BrokerSettings {
    let topology = Topology::new(&servers.unique_prefix(hint), max_length).unwrap();
    let url = servers.amqp_url().parse().unwrap();
    let settings = BrokerSettings::new(&url, hint, topology).unwrap();
    settings.with_timeouts(Duration::from_secs(5), Duration::from_secs(5))
}

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

/// A channel to look into queues with, and the connection that keeps it.
pub struct Window(Connection, pub Channel);

impl Window {
    pub async fn open(servers: &Servers) -> Self {
        let connection = Connection::connect(&servers.amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self(connection, channel)
    }

    /// How many messages are ready in a queue.
    pub async fn ready(&self, queue: &str) -> u32 {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        self.1
            .queue_declare(queue.into(), options, FieldTable::default())
            .await
            .unwrap()
            .message_count()
    }

    /// Takes one message.
    pub async fn take(&self, queue: &str) -> Option<lapin::message::Delivery> {
        let options = BasicGetOptions { no_ack: true };
        Some(self.1.basic_get(queue.into(), options).await.unwrap()?.delivery)
    }

    /// Takes all messages, counted by id.
    pub async fn drain(&self, queue: &str) -> HashMap<Uuid, u32> {
        let mut counts = HashMap::new();
        while let Some(message) = self.take(queue).await {
            let id = message
                .properties
                .message_id()
                .as_ref()
                .unwrap()
                .as_str()
                .parse()
                .unwrap();
            *counts.entry(id).or_default() += 1;
        }
        counts
    }
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

/// A database with nothing but an outbox.
pub async fn outbox(servers: &Servers) -> DatabaseConnection {
    let name = servers.create_database("outbox").await;
    let mut options = ConnectOptions::new(servers.postgres_url(&name));
    options.sqlx_logging(false).max_connections(5);
    let db = Database::connect(options).await.unwrap();
    db.execute(&outbox::create_table()).await.unwrap();
    db
}

pub async fn write(db: &DatabaseConnection, events: &[Event]) {
    for event in events {
        outbox::insert(db, event).await.unwrap();
    }
}

pub async fn rows(db: &DatabaseConnection, condition: &str) -> i64 {
    let sql = format!("SELECT count(*) AS rows FROM outbox WHERE {condition}");
    let row = db
        .query_one_raw(Statement::from_string(db.get_database_backend(), sql))
        .await
        .unwrap();
    row.unwrap().try_get("", "rows").unwrap()
}

pub fn relay(db: &DatabaseConnection, broker: &BrokerSettings) -> Relay {
    Relay {
        db: db.clone(),
        publisher: RabbitPublisher::new(broker.clone()),
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

/// A line to the broker that can go silent: it stays open, but nothing comes through any more.
pub struct Line {
    pub url: url::Url,
    silent: CancellationToken,
}

impl Line {
    pub async fn to(url: &str) -> Self {
        let mut url: url::Url = url.parse().unwrap();
        let target = (url.host_str().unwrap().to_owned(), url.port().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        url.set_port(Some(listener.local_addr().unwrap().port())).unwrap();
        let silent = CancellationToken::new();
        let gone = silent.clone();
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut far, gone) = (TcpStream::connect(&target).await.unwrap(), gone.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        biased;
                        () = gone.cancelled() => std::future::pending().await,
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    }
                });
            }
        });
        Self { url, silent }
    }

    pub fn go_silent(&self) {
        self.silent.cancel();
    }
}
