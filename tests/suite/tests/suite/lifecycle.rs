//! How a service starts, and what its probes tell.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::{Command, Output},
};

use carepost_suite::{
    Suite,
    process::{Service, binary},
    scrape,
    wait::{LONG, until},
};
use carepost_testkit::{DirectoryFile, Servers};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DbBackend, Statement};

use crate::traffic::{PRAIRIE, begin, reply, rows_of, settle};

async fn connect(servers: &Servers, database: &str) -> DatabaseConnection {
    Database::connect(servers.postgres_url(database)).await.unwrap()
}

async fn probe(address: std::net::SocketAddr, path: &str) -> String {
    let answer = scrape::get(address, path).await;
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_database_a_service_is_alive_and_not_ready() {
    let suite = Suite::start("probes").await;
    let addresses = scrape::addresses(&suite);
    let [eligibility, messaging, notification] = addresses[..] else {
        panic!("{addresses:?}");
    };
    let ready = async |address| probe(address, "/readyz").await == "200";
    for address in addresses.iter().copied() {
        assert!(until(LONG, async || ready(address).await).await, "{}", suite.logs());
        assert_eq!(probe(address, "/livez").await, "200");
    }

    let name = suite.database(Service::Messaging);
    let server = connect(&suite.servers, "postgres").await;
    let allow = async |allowed: bool| {
        let sql = format!("ALTER DATABASE \"{name}\" WITH ALLOW_CONNECTIONS {allowed}");
        server.execute_unprepared(&sql).await.unwrap();
    };
    allow(false).await;
    let end = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    server.execute_unprepared(&end).await.unwrap();
    assert!(until(LONG, async || probe(messaging, "/readyz").await == "503").await);
    for address in [eligibility, notification] {
        assert_eq!(probe(address, "/readyz").await, "200", "its own database answers");
    }
    for address in addresses.iter().copied() {
        assert_eq!(probe(address, "/livez").await, "200");
    }
    allow(true).await;
    assert!(until(LONG, async || ready(messaging).await).await, "{}", suite.logs());
    server.close().await.unwrap();
    for service in Service::ALL {
        assert_eq!(suite.stop(service).await, Some(0));
    }
}

/// Runs a command of a service, with some of its settings in the environment.
fn run(words: &[&str], settings: BTreeMap<&str, String>) -> Output {
    Command::new(binary()).args(words).envs(settings).output().unwrap()
}

fn told(output: &Output) -> String {
    // The first line of standard error; the log is on standard output.
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_not_this_versions_is_refused_and_left_as_it_is() {
    let suite = Suite::start("schema").await;
    for service in Service::ALL {
        let name = suite.servers.create_database(service.name()).await;
        let url = suite.servers.postgres_url(&name);
        let settings = suite.file(&service.settings());
        let serve = || {
            let words = [service.name(), "--config", settings.to_str().unwrap(), "serve"];
            run(&words, BTreeMap::from([("CAREPOST_DATABASE__URL", url.clone())]))
        };
        // The migration of Kubernetes has one secret, in a file, and no settings.
        let migrate = || {
            let file = suite.file("url");
            fs::write(&file, format!("{url}\n")).unwrap();
            let secret = BTreeMap::from([("CAREPOST_DATABASE__URL_FILE", file.display().to_string())]);
            run(&[service.name(), "migrate"], secret)
        };

        let refused = serve();
        assert_eq!(refused.status.code(), Some(1));
        assert!(told(&refused).contains("run `migrate` first"), "{refused:?}");
        let tables = "SELECT count(*) AS rows FROM information_schema.tables WHERE table_schema = 'public'";
        assert_eq!(rows_of(&suite, &name, tables).await, 0, "looking made nothing");

        assert_eq!(migrate().status.code(), Some(0));
        let made = rows_of(&suite, &name, tables).await;
        assert!(made > 1);
        assert_eq!(migrate().status.code(), Some(0), "what is done is done");

        let database = connect(&suite.servers, &name).await;
        let newer = "INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_of_a_newer_version', 0)";
        database.execute_unprepared(newer).await.unwrap();
        // One that it lacks as well, which must not be made good.
        let older = "DELETE FROM seaql_migrations WHERE version = (SELECT min(version) FROM seaql_migrations)";
        database.execute_unprepared(older).await.unwrap();
        database.close().await.unwrap();
        for refused in [serve(), migrate()] {
            assert_eq!(refused.status.code(), Some(1));
            assert!(
                told(&refused).contains("the database is newer than this program"),
                "{refused:?}"
            );
        }
        assert_eq!(rows_of(&suite, &name, tables).await, made);
        suite.servers.drop_database(&name).await;
    }
}

/// What a newer version may do to a database while this one still runs on it: each table has one column more, there is a new
/// table, and migrations that say so. Each table is locked by itself, as by migrations.
async fn expand(suite: &Suite, service: Service) {
    let database = connect(&suite.servers, suite.database(service)).await;
    let tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'seaql_migrations'";
    let tables = database
        .query_all_raw(Statement::from_string(DbBackend::Postgres, tables))
        .await
        .unwrap();
    for table in tables {
        let table: String = table.try_get("", "tablename").unwrap();
        let column = format!("ALTER TABLE {table} ADD COLUMN of_a_newer_version integer NOT NULL DEFAULT 7");
        database.execute_unprepared(&column).await.unwrap();
    }
    let more = "CREATE TABLE of_a_newer_version (id bigint PRIMARY KEY); \
        INSERT INTO seaql_migrations (version, applied_at) VALUES ('m9999_expand_everything', 0)";
    database.execute_unprepared(more).await.unwrap();
    database.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_version_runs_and_starts_beside_a_newer_one_that_only_added() {
    let suite = Suite::start("expanded").await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = begin(&suite, PRAIRIE).await;
    let mut accepted = BTreeSet::new();
    let mut write = async || {
        for from in [PRAIRIE.staff, PRAIRIE.portal_user] {
            accepted.insert(reply(&suite, PRAIRIE, &conversation, from, "How are you today?").await);
        }
    };
    write().await;
    for service in Service::ALL {
        expand(&suite, service).await;
    }
    // As pods of the older version during a rollout,
    write().await;
    // and as those that are started anew then, or come back when it is undone.
    for service in Service::ALL {
        assert_eq!(suite.stop(service).await, Some(0));
    }
    for service in Service::ALL {
        suite.start_service(service).await;
    }
    write().await;
    settle(&suite, PRAIRIE, &conversation, &accepted).await;

    // The older version's own migration has nothing to do there.
    for service in Service::ALL {
        let url = suite.servers.postgres_url(suite.database(service));
        let refused = run(
            &[service.name(), "migrate"],
            BTreeMap::from([("CAREPOST_DATABASE__URL", url)]),
        );
        assert_eq!(refused.status.code(), Some(1));
        assert!(
            told(&refused).contains("the database is newer than this program"),
            "{refused:?}"
        );
    }
}
