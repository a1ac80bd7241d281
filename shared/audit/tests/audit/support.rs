//! A database with nothing but a trail, on each column.

use std::time::Duration;

use carepost_audit::{Occasion, Record, Sealed, Sealer, Subject, Who, insert, schema};
use carepost_identity::{Actor, OrganizationId, PersonId};
use carepost_runtime::{Clock, metrics::labels::Component};
use carepost_testkit::Servers;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, ExecResult};
use sea_orm_migration::SchemaManager;
use tempfile::TempDir;
use tokio::time::Instant;
use uuid::Uuid;

pub const PRAIRIE: &str = "prairie";

/// Makes a test for each column of a function that takes a [`Place`].
macro_rules! on_both {
    ($($test:ident)*) => {
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test($crate::support::Place::postgres().await).await; })*
        }
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread")] async fn $test() { super::$test($crate::support::Place::sqlite().await).await; })*
        }
    };
}
pub(crate) use on_both;

/// Where a test runs.
pub struct Place {
    pub database: DatabaseConnection,
    pub url: String,
    _folder: Option<TempDir>,
}

impl Place {
    pub async fn postgres() -> Self {
        let servers = Servers::ensure().await;
        let url = servers.postgres_url(&servers.create_database("audit").await);
        Self::of(url, None).await
    }

    pub async fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/audit.db?mode=rwc", folder.path().display());
        Self::of(url, Some(folder)).await
    }

    async fn of(url: String, folder: Option<TempDir>) -> Self {
        let database = connect(&url).await;
        schema::create(&SchemaManager::new(&database)).await.unwrap();
        Self {
            database,
            url,
            _folder: folder,
        }
    }

    pub fn is_postgres(&self) -> bool {
        self.url.starts_with("postgres")
    }

    pub fn sealer(&self) -> Sealer {
        Sealer::new(self.database.clone(), Clock::system(), Component::Messaging)
    }

    /// Seals all that is there.
    pub async fn seal_all(&self) {
        while let Sealed::Some(_) = self.sealer().seal(PRAIRIE).await.unwrap() {}
    }

    /// Does something to rows that the triggers would refuse, as an owner of the database can.
    pub async fn as_owner(&self, sql: &str) {
        if self.is_postgres() {
            let all = format!("SET session_replication_role = replica; {sql}; SET session_replication_role = DEFAULT");
            self.database.execute_unprepared(&all).await.unwrap();
            return;
        }
        let triggers = "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'";
        let rows = sea_orm::Statement::from_string(self.database.get_database_backend(), triggers);
        let rows = self.database.query_all_raw(rows).await.unwrap();
        let kept: Vec<(String, String)> = rows
            .iter()
            .map(|row| (row.try_get("", "name").unwrap(), row.try_get("", "sql").unwrap()))
            .collect();
        for (name, _) in &kept {
            self.execute(&format!("DROP TRIGGER {name}")).await.unwrap();
        }
        self.execute(sql).await.unwrap();
        for (_, again) in &kept {
            self.execute(again).await.unwrap();
        }
    }

    pub async fn execute(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.database.execute_unprepared(sql).await
    }

    pub async fn count(&self, condition: &str) -> i64 {
        let sql = format!("SELECT count(*) AS records FROM audit_record WHERE {condition}");
        let statement = sea_orm::Statement::from_string(self.database.get_database_backend(), sql);
        let row = self.database.query_one_raw(statement).await.unwrap().unwrap();
        row.try_get("", "records").unwrap()
    }

    /// Writes so many records of an organization, a millisecond apart.
    pub async fn write(&self, organization: &str, many: u32) -> Vec<Record> {
        let records: Vec<_> = (0..many).map(|number| record(organization, number)).collect();
        insert(&self.database, &records).await.unwrap();
        records
    }
}

pub async fn connect(url: &str) -> DatabaseConnection {
    let mut options = ConnectOptions::new(url);
    // One connection keeps a setting of a session from the other statements of a test.
    options
        .sqlx_logging(false)
        .max_connections(if url.starts_with("postgres") { 5 } else { 1 });
    Database::connect(options).await.unwrap()
}

pub fn start() -> DateTime<Utc> {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

pub fn who(organization: &str) -> Who {
    Who {
        organization: OrganizationId::parse(organization).ok(),
        actor: Some(Actor::Person(PersonId::parse("staff/1").unwrap())),
    }
}

pub fn record(organization: &str, number: u32) -> Record {
    let occasion = Occasion::call(
        Uuid::from_u128(number.into()),
        "/carepost.Test/Read",
        "10.0.0.1".parse().ok(),
        String::new(),
    );
    let at = start() + TimeDelta::milliseconds(number.into());
    let subject = Subject::conversation(Uuid::from_u128(number.into()));
    Record::new(&occasion, &who(organization), at, [&subject], "OK")
}

/// Waits until something is so.
pub async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "it does not come");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
