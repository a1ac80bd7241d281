//! The private servers, on the real programs.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests, outside of test functions"
)]

use std::io;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use carepost_testkit::Servers;
use carepost_testkit::servers::Parts;
use tokio::net::TcpStream;

/// The answer of PostgreSQL to one query, or what psql says.
fn query(url: &str, sql: &str) -> Result<String, String> {
    let output = Command::new("psql")
        .args(["-X", "-A", "-t", "-c", sql, url])
        .output()
        .expect("psql is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

async fn connects(url: &str) -> io::Result<()> {
    let authority = url.rsplit_once('@').expect("a URL with a user").1;
    let address: SocketAddr = authority.split('/').next().unwrap().parse().expect("an address");
    TcpStream::connect(address).await.map(drop)
}

#[tokio::test]
async fn the_shared_instance_is_up_quickly_once_it_is_up_and_gives_each_caller_a_database() {
    let servers = Servers::ensure().await;
    let begin = Instant::now();
    let again = Servers::ensure().await;
    assert!(begin.elapsed() < Duration::from_millis(500), "{:?}", begin.elapsed());
    assert_eq!(servers.amqp_url(), again.amqp_url());
    connects(&servers.amqp_url()).await.unwrap();

    let one = servers.create_database("Some Store").await;
    let two = servers.create_database("Some Store").await;
    assert!(one != two && one.starts_with("some_store_"), "{one} {two}");
    query(&servers.postgres_url(&one), "CREATE TABLE here (id int)").unwrap();
    assert!(query(&servers.postgres_url(&two), "SELECT * FROM here").is_err());
    for database in [&one, &two] {
        servers.drop_database(database).await;
        assert!(
            query(&servers.postgres_url(database), "SELECT 1")
                .unwrap_err()
                .contains("does not exist")
        );
    }
    assert_ne!(servers.unique_prefix("outage"), servers.unique_prefix("outage"));
}

#[tokio::test]
async fn postgresql_is_durable_finds_trigrams_in_every_script_and_counts_statements() {
    let servers = Servers::ensure().await;
    let database = servers.create_database("settings").await;
    let url = servers.postgres_url(&database);
    for (setting, value) in [
        ("fsync", "on"),
        ("synchronous_commit", "on"),
        ("max_connections", "300"),
    ] {
        assert_eq!(query(&url, &format!("SHOW {setting}")).unwrap(), value, "{setting}");
    }
    query(&url, "CREATE EXTENSION pg_trgm").unwrap();
    assert_ne!(query(&url, "SELECT array_length(show_trgm('γιατρός'), 1)").unwrap(), "");
    query(&url, "CREATE EXTENSION pg_stat_statements").unwrap();
    assert_ne!(query(&url, "SELECT count(*) FROM pg_stat_statements").unwrap(), "0");
    servers.drop_database(&database).await;
}

#[tokio::test]
async fn a_private_postgresql_keeps_port_and_data_over_a_stop_and_a_kill_and_is_gone_when_dropped() {
    let servers = Servers::private_parts("postgres", Parts::Postgres).await;
    let database = servers.create_database("kept").await;
    let url = servers.postgres_url(&database);
    query(&url, "CREATE TABLE kept AS SELECT 7 AS id").unwrap();
    servers.stop_postgres().await;
    assert!(query(&url, "SELECT id FROM kept").is_err());
    servers.start_postgres().await;
    assert_eq!(query(&url, "SELECT id FROM kept").unwrap(), "7");
    servers.kill_postgres().await;
    assert!(query(&url, "SELECT id FROM kept").is_err());
    servers.start_postgres().await;
    assert_eq!(query(&url, "SELECT id FROM kept").unwrap(), "7");
    assert!(
        connects(&servers.amqp_url()).await.is_err(),
        "nobody asked for RabbitMQ"
    );
    drop(servers);
    assert!(query(&url, "SELECT 1").is_err());
}

#[tokio::test]
async fn a_private_rabbitmq_comes_back_on_its_port_after_a_stop_and_a_kill_and_is_gone_when_dropped() {
    let servers = Servers::private_parts("rabbitmq", Parts::RabbitMq).await;
    let url = servers.amqp_url();
    connects(&url).await.unwrap();
    servers.stop_rabbitmq().await;
    connects(&url).await.unwrap_err();
    servers.start_rabbitmq().await;
    connects(&url).await.unwrap();
    servers.kill_rabbitmq().await;
    connects(&url).await.unwrap_err();
    servers.start_rabbitmq().await;
    connects(&url).await.unwrap();
    drop(servers);
    connects(&url).await.unwrap_err();
}

#[tokio::test]
#[should_panic(expected = "other tests use this instance")]
async fn the_shared_instance_cannot_be_stopped_by_a_test() {
    Servers::ensure().await.stop_postgres().await;
}
