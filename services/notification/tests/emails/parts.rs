//! Database and broker: the real ones, or the embedded ones.

use std::{net::SocketAddr, path::Path};

use carepost_broker::topology::Topology;
pub use carepost_testkit::{Column, on_both};
use carepost_testkit::{proxy::TcpProxy, servers::Servers};
use sea_orm::{Database, DatabaseTransaction, SqliteTransactionMode, TransactionOptions, TransactionTrait};
use tokio::sync::Mutex;

/// The parts of one column.
pub enum Parts {
    Real {
        servers: Servers,
        database: String,
        database_url: String,
        /// Between the service and its database.
        wire: TcpProxy,
        prefix: String,
    },
    Embedded {
        database_url: String,
        broker_url: String,
        /// While another process writes without end.
        lock: Mutex<Option<DatabaseTransaction>>,
    },
}

/// The address of a server from its URL.
fn address(url: &str) -> SocketAddr {
    let authority = url.rsplit_once('@').unwrap().1;
    authority.split('/').next().unwrap().parse().unwrap()
}

impl Parts {
    pub async fn new(column: Column, hint: &str, folder: &Path) -> Self {
        if column == Column::Embedded {
            let url = |name: &str| format!("sqlite://{}", folder.join(name).display());
            return Self::Embedded {
                database_url: url("notification.db"),
                broker_url: url("broker.db"),
                lock: Mutex::default(),
            };
        }
        let servers = Servers::ensure().await;
        let database = servers.create_database(hint).await;
        let direct = servers.postgres_url(&database);
        let wire = TcpProxy::start(address(&direct)).await;
        Self::Real {
            database_url: direct.replace(&address(&direct).to_string(), &wire.address().to_string()),
            wire,
            prefix: servers.unique_prefix(hint),
            servers,
            database,
        }
    }

    pub fn database_url(&self) -> &str {
        match self {
            Self::Real { database_url, .. } | Self::Embedded { database_url, .. } => database_url,
        }
    }

    pub fn broker_url(&self) -> String {
        match self {
            Self::Real { servers, .. } => servers.amqp_url(),
            Self::Embedded { broker_url, .. } => broker_url.clone(),
        }
    }

    pub fn broker_prefix(&self) -> &str {
        match self {
            Self::Real { prefix, .. } => prefix,
            Self::Embedded { .. } => "",
        }
    }

    /// The database takes no writes any more: it is cut off, or somebody else has its write lock.
    pub async fn database_down(&self) {
        match self {
            Self::Real { wire, .. } => wire.cut().await,
            Self::Embedded { database_url, lock, .. } => {
                let database = Database::connect(database_url).await.unwrap();
                // Another process does not wait in this one's line.
                let at_once = TransactionOptions {
                    sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
                    ..Default::default()
                };
                *lock.lock().await = Some(database.begin_with_options(at_once).await.unwrap());
            }
        }
    }

    /// The connections to the database never answer again. New ones do.
    pub fn silence_database(&self) {
        match self {
            Self::Real { wire, .. } => wire.silence(),
            Self::Embedded { .. } => panic!("a file cannot fall silent"),
        }
    }

    pub async fn database_up(&self) {
        match self {
            Self::Real { wire, .. } => wire.heal().await,
            Self::Embedded { lock, .. } => lock.lock().await.take().unwrap().rollback().await.unwrap(),
        }
    }

    /// Removes what shared servers would keep.
    pub async fn clear(self, topology: &Topology) {
        let Self::Real { servers, database, .. } = self else {
            return;
        };
        let connection = lapin::Connection::connect(&servers.amqp_url(), lapin::ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        for queue in topology.queues() {
            channel
                .queue_delete(queue.name.as_str().into(), Default::default())
                .await
                .unwrap();
        }
        for exchange in topology.exchanges() {
            channel
                .exchange_delete(exchange.name.as_str().into(), Default::default())
                .await
                .unwrap();
        }
        connection.close(200, "bye".into()).await.unwrap();
        servers.drop_database(&database).await;
    }
}
