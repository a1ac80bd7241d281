//! What everything depends on fails for half a minute, under load, one after the other.

use std::{collections::BTreeSet, time::Duration};

use carepost_suite::{Plan, Suite, process::Service};
use carepost_testkit::{DirectoryFile, Servers};
use tokio::time::{Instant, sleep};

use crate::traffic::{PRAIRIE, begin, reply, settle};

/// How long each outage lasts.
const OUTAGE: Duration = Duration::from_secs(30);

/// A reply now and then, until the end; each is tried until it is accepted.
async fn load(suite: &Suite, conversation: &str, end: Instant) -> Vec<String> {
    let mut ids = Vec::new();
    while Instant::now() < end {
        ids.push(reply(suite, PRAIRIE, conversation, PRAIRIE.staff, "Are you there?").await);
        sleep(Duration::from_millis(200)).await;
    }
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn outages_of_broker_database_and_mail_server_lose_and_double_nothing() {
    let servers = Servers::private("outages").await;
    let suite = Suite::start_on(servers, "outages", Plan::default()).await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = begin(&suite, PRAIRIE).await;
    let mut accepted = BTreeSet::new();

    let end = Instant::now() + OUTAGE;
    suite.servers.stop_rabbitmq().await;
    accepted.extend(load(&suite, &conversation, end).await);
    suite.servers.start_rabbitmq().await;

    let end = Instant::now() + OUTAGE;
    let restore = async {
        suite.servers.stop_postgres().await;
        tokio::time::sleep_until(end).await;
        suite.servers.start_postgres().await;
    };
    let (ids, ()) = tokio::join!(load(&suite, &conversation, end), restore);
    accepted.extend(ids);

    let end = Instant::now() + OUTAGE;
    suite.smtp.stop().await;
    accepted.extend(load(&suite, &conversation, end).await);
    suite.smtp.restart().await;

    settle(&suite, PRAIRIE, &conversation, &accepted).await;
    assert_eq!(dead_letters(&suite).await, 0);
    for service in Service::ALL {
        assert_eq!(suite.stop(service).await, Some(0));
    }
}

/// How many events lie in dead letter queues.
async fn dead_letters(suite: &Suite) -> u32 {
    carepost_suite::broker::dead_letters(&suite.servers.amqp_url(), &suite.prefix).await
}
