//! The connection to a service's own database: PostgreSQL, or SQLite for the embedded suite.

use std::{collections::BTreeSet, path::Path, time::Duration};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, Statement,
    sqlx::{
        self, Connection as _, PgConnection,
        sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
    },
};
use sea_orm_migration::{IntoSchemaManagerConnection, MigratorTrait, SchemaManager};
use url::Url;

use crate::{
    Backoff,
    schema::{self, Schema},
    settings::Reader,
};
pub use crate::{
    migrate::migrate,
    turn::{Turn, Writing, begin, turn},
};

/// How long a writer waits for another one; `SQLite` has one at a time.
pub(crate) const SQLITE_PATIENCE: Duration = Duration::from_secs(5);

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
            url: reader.secret_url("database.url", &["postgres", "postgresql", "sqlite"]),
            connections: reader.count("database.max_connections", 1..=1_000),
            acquire_timeout: reader.milliseconds("database.acquire_timeout_ms", 10..=60_000),
            statement_timeout: reader.milliseconds("database.statement_timeout_ms", 10..=600_000),
        }
    }

    pub(crate) fn options(&self, statement_timeout: Option<Duration>) -> ConnectOptions {
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
    /// It lacks migrations of this version.
    #[error("the database lacks {0} migrations: run `migrate` first")]
    NotMigrated(usize),
    /// A newer version has migrated it, and changed what this version needs, or may have. So nothing is tried.
    #[error("the database is newer than this program: it has {0} migrations that are not known here")]
    Newer(usize),
}

/// Connects, and sees that this version can work with the schema: it lacks nothing, and what a newer version did to it was
/// only to add to it (its migrations say so in their names; `docs/operations.md` has the rule).
///
/// # Errors
/// If the database does not answer within 30 seconds, lacks migrations, or is newer than this program in another way.
pub async fn connect<M: MigratorTrait>(settings: &DatabaseSettings) -> Result<DatabaseConnection, DatabaseError> {
    let database = patiently(settings.options(Some(settings.statement_timeout))).await?;
    // It only looks: a service need not be able to make tables.
    match schema::<M, _>(&database).await? {
        Schema::Same => Ok(database),
        Schema::Expanded(migrations) => {
            tracing::warn!(
                migrations,
                "the database was migrated by a newer version, which left to this one what it needs"
            );
            Ok(database)
        }
        Schema::Older(pending) => Err(DatabaseError::NotMigrated(pending)),
        Schema::Newer(migrations) => Err(DatabaseError::Newer(migrations)),
    }
}

/// The newest migration of a database that has just those of this version. It is for a command that must leave nothing out, as it
/// would what a newer version has added.
///
/// # Errors
/// If the database does not answer, lacks migrations, or has others.
pub async fn version<'c, M: MigratorTrait, C>(connection: &'c C) -> Result<String, DatabaseError>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    match schema::<M, C>(connection).await? {
        Schema::Same => {
            let newest = M::migrations().pop();
            Ok(newest.map(|one| one.name().to_owned()).unwrap_or_default())
        }
        Schema::Older(pending) => Err(DatabaseError::NotMigrated(pending)),
        Schema::Expanded(migrations) | Schema::Newer(migrations) => Err(DatabaseError::Newer(migrations)),
    }
}

/// What the schema is to this version, by looking alone.
pub(crate) async fn schema<'c, M: MigratorTrait, C>(database: &'c C) -> Result<Schema, DatabaseError>
where
    C: ConnectionTrait,
    &'c C: IntoSchemaManagerConnection<'c>,
{
    let table = M::migration_table_name().to_string();
    let known: BTreeSet<_> = M::migrations().iter().map(|one| one.name().to_owned()).collect();
    if !SchemaManager::new(database).has_table(&table).await? {
        return Ok(Schema::Older(known.len()));
    }
    let query = format!("SELECT version FROM {table}");
    let rows = database
        .query_all_raw(Statement::from_string(database.get_database_backend(), query))
        .await?;
    let applied: Result<BTreeSet<String>, _> = rows.iter().map(|row| row.try_get("", "version")).collect();
    Ok(schema::compare(&applied?, &known))
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
pub(crate) async fn patiently(options: ConnectOptions) -> Result<DatabaseConnection, DbErr> {
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

/// Asks a service's database whether it answers. Clones share its connection.
#[derive(Clone, Debug)]
pub struct Probe {
    own: DatabaseConnection,
    service: DatabaseConnection,
}

impl Probe {
    /// A probe with a connection of its own, made when it is first needed. It does not wait for those of the service: where all
    /// are at work the database answers, and to say that it does not would take every replica out when they are needed most.
    /// `SQLite` has only the one.
    ///
    /// # Errors
    /// If the settings lead to no database.
    pub async fn new(settings: &DatabaseSettings, service: &DatabaseConnection) -> Result<Self, DbErr> {
        let own = if service.get_database_backend() == DbBackend::Postgres {
            let mut options = settings.options(None);
            options.max_connections(1).min_connections(0).connect_lazy(true);
            // Kept as long as it lasts: there may be no other one.
            options.max_lifetime(None).idle_timeout(None);
            Database::connect(options).await?
        } else {
            service.clone()
        };
        Ok(Self {
            own,
            service: service.clone(),
        })
    }

    /// Whether it answers now, within two seconds. Where the probe's own connection does not, the service's are asked as well: a
    /// database that has no connection left for the probe answers too.
    pub async fn answers(&self) -> bool {
        answer(&self.own).await || answer(&self.service).await
    }
}

async fn answer(connection: &DatabaseConnection) -> bool {
    matches!(
        tokio::time::timeout(Duration::from_secs(1), connection.ping()).await,
        Ok(Ok(()))
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use carepost_testkit::Servers;
    use sea_orm::TransactionTrait;

    use super::*;

    /// Of a database with a single connection.
    pub(crate) fn settings(url: &str) -> DatabaseSettings {
        let section = "[database]\nmax_connections = 1\nacquire_timeout_ms = 2000\nstatement_timeout_ms = 5000\n";
        let mut reader = Reader::embedded(section, &format!("[database]\nurl = \"{url}\"\n")).unwrap();
        let settings = DatabaseSettings::read(&mut reader);
        reader.finish(settings).unwrap()
    }

    #[tokio::test]
    async fn a_database_answers_while_the_service_s_connections_are_all_at_work() {
        let servers = Servers::ensure().await;
        let settings = settings(&servers.postgres_url("postgres"));
        let service = Database::connect(settings.options(None)).await.unwrap();
        let probe = Probe::new(&settings, &service).await.unwrap();
        let _at_work = service.begin().await.unwrap();
        assert!(service.ping().await.is_err(), "there is none left");
        assert!(probe.answers().await);
        assert!(probe.answers().await);
    }

    #[tokio::test]
    async fn one_that_has_no_connection_for_the_probe_answers_and_one_that_is_not_there_does_not() {
        let embedded = Database::connect("sqlite::memory:").await.unwrap();
        let probe = Probe::new(&settings("sqlite::memory:"), &embedded).await.unwrap();
        assert!(probe.answers().await);
        let servers = Servers::ensure().await;
        let service = Database::connect(servers.postgres_url("postgres")).await.unwrap();
        let gone = settings("postgres://postgres@127.0.0.1:1/postgres?sslmode=disable");
        let probe = Probe::new(&gone, &service).await.unwrap();
        assert!(probe.answers().await);
        service.close().await.unwrap();
        assert!(!probe.answers().await);
    }
}
