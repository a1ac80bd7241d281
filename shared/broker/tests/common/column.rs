//! The two columns on which the contract is tested: PostgreSQL and RabbitMQ, SQLite and the embedded broker.

use std::{collections::HashMap, path::Path, time::Duration};

use carepost_broker::{
    consumer::{DEAD_QUEUE, DEAD_REASON, DEAD_TIME},
    event::Event,
    outbox::create_table,
    publisher::Publisher,
    settings::BrokerSettings,
    topology::Topology,
};
use carepost_runtime::database;
use carepost_testkit::Servers;
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, sqlx::sqlite::SqliteJournalMode,
};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::eventually;

const TIMEOUT: Duration = Duration::from_secs(5);

/// Makes two tests of each function, one for each column.
#[macro_export]
macro_rules! on_both {
    ($($test:ident)*) => {
        mod on_rabbitmq {
            $(#[tokio::test] async fn $test() { super::$test($crate::common::Column::rabbitmq().await).await; })*
        }
        mod on_embedded {
            $(#[tokio::test] async fn $test() { super::$test($crate::common::Column::embedded()).await; })*
        }
    };
}

/// Where a test runs.
pub enum Column {
    RabbitMq(Servers),
    Embedded(TempDir),
}

impl Column {
    pub async fn rabbitmq() -> Self {
        Self::RabbitMq(Servers::ensure().await)
    }

    pub fn embedded() -> Self {
        Self::Embedded(tempfile::tempdir().unwrap())
    }

    /// Settings for a broker with queues that no other test has.
    pub fn broker(&self, hint: &str, max_length: u32) -> BrokerSettings {
        match self {
            Self::RabbitMq(servers) => rabbitmq(servers, hint, max_length),
            Self::Embedded(folder) => embedded(&folder.path().join("broker.db"), max_length),
        }
    }

    /// The same broker twice, once over a line that can go silent.
    pub async fn broker_and_line(&self, hint: &str, max_length: u32) -> (BrokerSettings, BrokerSettings, Line) {
        let broker = self.broker(hint, max_length);
        match self {
            Self::RabbitMq(servers) => {
                let (url, silent) = wire(&servers.amqp_url()).await;
                let over_the_line = BrokerSettings::new(&url, hint, broker.topology().clone()).unwrap();
                (broker, over_the_line, Line::Wire(silent))
            }
            Self::Embedded(_) => {
                let Window::Embedded(file) = self.window(&broker).await else {
                    unreachable!()
                };
                (broker.clone(), broker, Line::File(file))
            }
        }
    }

    /// A database with nothing but an outbox.
    pub async fn outbox(&self) -> DatabaseConnection {
        match self {
            Self::RabbitMq(servers) => postgres(servers).await,
            Self::Embedded(folder) => outbox(format!("sqlite://{}/outbox.db", folder.path().display())).await,
        }
    }

    pub async fn window(&self, broker: &BrokerSettings) -> Window {
        Publisher::new(broker.clone()).ready().await.unwrap();
        match self {
            Self::RabbitMq(servers) => Window::open(servers).await,
            Self::Embedded(folder) => Window::of_file(&folder.path().join("broker.db")).await,
        }
    }
}

/// An outbox in a database of its own on PostgreSQL.
pub async fn postgres(servers: &Servers) -> DatabaseConnection {
    outbox(servers.postgres_url(&servers.create_database("outbox").await)).await
}

async fn outbox(url: String) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    options
        .sqlx_logging(false)
        .max_connections(5)
        .map_sqlx_sqlite_opts(|options| {
            let options = options.create_if_missing(true).journal_mode(SqliteJournalMode::Wal);
            options.busy_timeout(TIMEOUT)
        });
    let db = Database::connect(options).await.unwrap();
    db.execute(&create_table()).await.unwrap();
    db
}

pub fn rabbitmq(servers: &Servers, hint: &str, max_length: u32) -> BrokerSettings {
    let topology = Topology::new(&servers.unique_prefix(hint), max_length).unwrap();
    let url = servers.amqp_url().parse().unwrap();
    let settings = BrokerSettings::new(&url, hint, topology).unwrap();
    settings.with_timeouts(TIMEOUT, TIMEOUT)
}

pub fn embedded(path: &Path, max_length: u32) -> BrokerSettings {
    let url = format!("sqlite://{}", path.display()).parse().unwrap();
    let topology = Topology::new("", max_length).unwrap();
    let settings = BrokerSettings::new(&url, "test", topology).unwrap();
    settings.with_timeouts(TIMEOUT, TIMEOUT)
}

/// A dead letter.
pub struct Letter {
    pub id: String,
    pub body: Vec<u8>,
    pub reason: String,
    pub queue: String,
    pub time: String,
}

/// A way to look into queues from outside, while others use them.
pub enum Window {
    /// A channel, and the connection that keeps it.
    RabbitMq(Box<Connection>, Channel),
    Embedded(DatabaseConnection),
}

impl Window {
    pub async fn open(servers: &Servers) -> Self {
        let url = servers.amqp_url();
        let connection = Connection::connect(&url, ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        Self::RabbitMq(Box::new(connection), channel)
    }

    pub async fn of_file(path: &Path) -> Self {
        Self::Embedded(database::open_file(path, TIMEOUT).await.unwrap())
    }

    pub fn channel(&self) -> &Channel {
        match self {
            Self::RabbitMq(_, channel) => channel,
            Self::Embedded(_) => unreachable!("only RabbitMQ has channels"),
        }
    }

    /// How many messages there are in a queue, without those that RabbitMQ has handed out.
    pub async fn ready(&self, queue: &str) -> u32 {
        match self {
            Self::RabbitMq(_, channel) => {
                let options = QueueDeclareOptions {
                    passive: true,
                    ..QueueDeclareOptions::default()
                };
                let declared = channel.queue_declare(queue.into(), options, FieldTable::default());
                declared.await.unwrap().message_count()
            }
            Self::Embedded(db) => {
                let counted = select(db, "SELECT count(*) AS messages FROM message WHERE queue = $1", queue).await;
                counted[0].try_get("", "messages").unwrap()
            }
        }
    }

    /// Takes a message out of a queue of RabbitMQ.
    pub async fn take(&self, queue: &str) -> Option<lapin::message::Delivery> {
        let options = BasicGetOptions { no_ack: true };
        let got = self.channel().basic_get(queue.into(), options).await.unwrap();
        Some(got?.delivery)
    }

    /// Puts an event among the dead letters, as one of a queue that is no more.
    pub async fn stray(&self, broker: &BrokerSettings, event: &Event) {
        let dead = broker.topology().dead_letters();
        match self {
            Self::RabbitMq(_, channel) => {
                let before = self.ready(dead).await;
                let mut headers = FieldTable::default();
                headers.insert(DEAD_QUEUE.into(), AMQPValue::LongString("elsewhere".into()));
                let properties = BasicProperties::default().with_headers(headers);
                let (options, body) = (BasicPublishOptions::default(), event.payload.as_slice());
                let publishing = channel.basic_publish(dead.into(), "message.sent".into(), options, body, properties);
                publishing.await.unwrap();
                eventually("a stray letter", || async { self.ready(dead).await > before }).await;
            }
            Self::Embedded(db) => {
                let sql = "INSERT INTO message \
                    (queue, message_id, message_type, routing_key, occurred_at, body, dead_queue) \
                    VALUES ($1, 'stray', '', 'message.sent', '', $2, 'elsewhere')";
                let values = [dead.into(), event.payload.clone().into()];
                let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, values);
                db.execute_raw(statement).await.unwrap();
            }
        }
    }

    /// Takes all messages, counted by id.
    pub async fn drain(&self, queue: &str) -> HashMap<Uuid, u32> {
        let mut ids = Vec::new();
        match self {
            Self::RabbitMq(..) => {
                while let Some(message) = self.take(queue).await {
                    ids.push(message.properties.message_id().as_ref().unwrap().as_str().to_owned());
                }
            }
            Self::Embedded(db) => {
                let taken = select(db, "DELETE FROM message WHERE queue = $1 RETURNING message_id", queue).await;
                ids.extend(taken.iter().map(|row| row.try_get::<String>("", "message_id").unwrap()));
            }
        }
        let mut counts = HashMap::new();
        for id in ids {
            *counts.entry(id.parse().unwrap()).or_default() += 1;
        }
        counts
    }

    /// The oldest dead letter.
    pub async fn letter(&self, queue: &str) -> Letter {
        match self {
            Self::RabbitMq(..) => {
                let letter = self.take(queue).await.unwrap();
                let headers = letter.properties.headers().as_ref().unwrap().inner();
                let header = |name: &str| headers[name].as_long_string().unwrap().to_string();
                Letter {
                    id: letter.properties.message_id().as_ref().unwrap().as_str().to_owned(),
                    reason: header(DEAD_REASON),
                    queue: header(DEAD_QUEUE),
                    time: header(DEAD_TIME),
                    body: letter.data,
                }
            }
            Self::Embedded(db) => {
                let rows = select(db, "SELECT * FROM message WHERE queue = $1 ORDER BY sequence", queue).await;
                let text = |name: &str| rows[0].try_get::<String>("", name).unwrap();
                Letter {
                    id: text("message_id"),
                    reason: text("dead_reason"),
                    queue: text("dead_queue"),
                    time: text("dead_time"),
                    body: rows[0].try_get("", "body").unwrap(),
                }
            }
        }
    }
}

async fn select(db: &DatabaseConnection, sql: &str, queue: &str) -> Vec<QueryResult> {
    let statement = Statement::from_sql_and_values(db.get_database_backend(), sql, [queue.into()]);
    db.query_all_raw(statement).await.unwrap()
}

/// A line to the broker that can go silent: it stays open, but nothing comes through any more.
pub enum Line {
    Wire(CancellationToken),
    File(DatabaseConnection),
}

/// Lasts until it is dropped, or for ever on a wire.
pub struct Silence(#[allow(dead_code, reason = "it is held")] Option<DatabaseTransaction>);

/// A transaction that writes, of somebody who does not wait in this process's line for it.
fn another_process() -> TransactionOptions {
    TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    }
}

impl Line {
    pub async fn go_silent(&self) -> Silence {
        match self {
            Self::Wire(silent) => {
                silent.cancel();
                Silence(None)
            }
            // Whoever wants to write waits for this transaction.
            Self::File(file) => Silence(Some(file.begin_with_options(another_process()).await.unwrap())),
        }
    }
}

async fn wire(url: &str) -> (url::Url, CancellationToken) {
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
    (url, silent)
}
