//! The connection to a service's own database: PostgreSQL, or SQLite for the embedded suite.

use std::{path::Path, time::Duration};

use sea_orm::{
    ConnectOptions, Database, DatabaseConnection, DatabaseTransaction, DbErr, SqliteTransactionMode,
    TransactionOptions, TransactionTrait,
    sqlx::{
        self, Connection as _, PgConnection,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};
use sea_orm_migration::MigratorTrait;
use url::Url;

use crate::{Backoff, settings::Reader};

/// How long a writer waits for another one; `SQLite` has one at a time.
const SQLITE_PATIENCE: Duration = Duration::from_secs(5);

/// Settings of the database.
#[derive(Clone)]
pub struct DatabaseSettings {
    url: Option<Url>,
    connections: u32,
    acquire_timeout: Duration,
    statement_timeout: Duration,
}

impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may hold a password.
        f.debug_struct("DatabaseSettings")
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}

impl DatabaseSettings {
    /// Reads the section `database`.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            url: reader.url("database.url", &["postgres", "postgresql", "sqlite"]),
            connections: reader.count("database.max_connections", 1..=1_000),
            acquire_timeout: reader.milliseconds("database.acquire_timeout_ms", 10..=60_000),
            statement_timeout: reader.milliseconds("database.statement_timeout_ms", 10..=600_000),
        }
    }

    fn options(&self, statement_timeout: Option<Duration>) -> ConnectOptions {
        let mut options = ConnectOptions::new(self.url.as_ref().map(Url::to_string).unwrap_or_default());
        options
            .max_connections(self.connections)
            .min_connections(1)
            .connect_timeout(self.acquire_timeout)
            .acquire_timeout(self.acquire_timeout)
            .map_sqlx_sqlite_opts(on_disk)
            .map_sqlx_postgres_pool_opts(|options| options.after_release(|connection, _| Box::pin(whole(connection))))
            // A broken connection shows at its next use; asking before each use would double the round trips of a send.
            .test_before_acquire(false)
            // Statements could show what is in them.
            .sqlx_logging(false);
        if let Some(timeout) = statement_timeout {
            options.statement_timeout(timeout);
        }
        options
    }
}

fn on_disk(options: SqliteConnectOptions) -> SqliteConnectOptions {
    options
        .create_if_missing(true)
        .foreign_keys(true)
        .journal_mode(SqliteJournalMode::Wal)
        // An acknowledged message is on disk, whatever happens to the power.
        .synchronous(SqliteSynchronous::Full)
        .busy_timeout(SQLITE_PATIENCE)
}

/// Opens a file of `SQLite`, made if it is not there, with a single connection: within this process nothing ever finds it busy,
/// and who comes first is served first. `patience` is how long one waits for the connection.
///
/// # Errors
/// If the file cannot be used.
pub async fn open_file(path: &Path, patience: Duration) -> Result<DatabaseConnection, DbErr> {
    let path = path.to_owned();
    let mut options = ConnectOptions::new("sqlite://");
    options
        .max_connections(1)
        .min_connections(1)
        .connect_timeout(patience)
        .acquire_timeout(patience)
        .map_sqlx_sqlite_opts(move |options| on_disk(options).filename(&path))
        .test_before_acquire(false)
        .sqlx_logging(false);
    Database::connect(options).await
}

/// Why a service has no usable database.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It does not answer, or refuses.
    #[error("the database cannot be used: {0}")]
    Unusable(#[from] DbErr),
    /// Its schema is not this version's.
    #[error("the database lacks {0} migrations: run `migrate` first")]
    NotMigrated(usize),
}

/// Connects, and sees that the schema is this version's.
///
/// # Errors
/// If the database does not answer within 30 seconds, or lacks migrations.
pub async fn connect<M: MigratorTrait>(settings: &DatabaseSettings) -> Result<DatabaseConnection, DatabaseError> {
    let database = patiently(settings.options(Some(settings.statement_timeout))).await?;
    match M::get_pending_migrations(&database).await?.len() {
        0 => Ok(database),
        pending => Err(DatabaseError::NotMigrated(pending)),
    }
}

/// Brings the database to this version's schema.
///
/// # Errors
/// If the database does not answer within 30 seconds, or a migration fails.
pub async fn migrate<M: MigratorTrait>(settings: &DatabaseSettings) -> Result<(), DatabaseError> {
    // A migration may take its time.
    let database = patiently(settings.options(None)).await?;
    M::up(&database, None).await?;
    Ok(database.close().await?)
}

/// Whether a connection that comes back is whole. The pool asks so too, but would wait for the answer of a machine that is
/// gone for as long as TCP does, and keep the connection's place meanwhile.
async fn whole(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    const PATIENCE: Duration = Duration::from_secs(2);
    match tokio::time::timeout(PATIENCE, connection.ping()).await {
        Ok(answered) => answered.map(|()| true),
        Err(_) => Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())),
    }
}

/// A database that starts together with its service is waited for, within bounds.
async fn patiently(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
    const TRIES: u32 = 12;
    let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
    let mut failures = 0;
    loop {
        match Database::connect(options.clone()).await {
            Ok(database) => return Ok(database),
            Err(error) if failures == TRIES => return Err(error),
            Err(_) => failures += 1,
        }
        tracing::warn!(failures, "the database does not answer yet");
        tokio::time::sleep(backoff.delay(failures)).await;
    }
}

/// Whether the database answers now, within two seconds.
pub async fn answers(database: &DatabaseConnection) -> bool {
    matches!(
        tokio::time::timeout(Duration::from_secs(2), database.ping()).await,
        Ok(Ok(()))
    )
}

/// Begins a transaction that will write. `SQLite` takes its one write lock at once, since a reader that starts to write later
/// may find that it cannot any more; `PostgreSQL` does what it always does.
///
/// # Errors
/// If the database does not answer.
pub async fn begin(database: &DatabaseConnection) -> Result<DatabaseTransaction, DbErr> {
    let options = TransactionOptions {
        sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
        ..Default::default()
    };
    database.begin_with_options(options).await
}
