//! A backup, the end of everything, and the restored suite: the procedure of docs/operations.md.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
};

use carepost_proto::notification::v1::DeliveryState;
use carepost_suite::{
    Plan, Suite, broker,
    process::Service,
    wait::{LONG, until},
};
use carepost_testkit::{DirectoryFile, Servers};

use crate::traffic::{PRAIRIE, begin, deliveries, reply, rows, settle};

/// How many messages are in each state when the backup is made.
const MESSAGES: usize = 5;

/// Runs a tool of the server that is installed, as an operator does.
fn tool(name: &str, arguments: &[&str]) {
    let mut versions: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .unwrap()
        .map(|version| version.unwrap().path())
        .collect();
    versions.sort();
    let program = versions.last().unwrap().join("bin").join(name);
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn dump(suite: &Suite, service: Service) -> PathBuf {
    let file = suite.file(&format!("{}.dump", service.name()));
    let url = suite.servers.postgres_url(suite.database(service));
    tool("pg_dump", &["--format=custom", "--file", path(&file), &url]);
    file
}

fn path(file: &Path) -> &str {
    file.to_str().unwrap()
}

/// Makes the database of a service anew, from a dump.
fn restore(suite: &Suite, service: Service, dump: &Path) {
    let server = suite.servers.postgres_url("postgres");
    let name = suite.database(service);
    // No option of pg_restore makes a database of another name than that which is in the dump.
    let sql = format!("CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'");
    tool(
        "psql",
        &["--quiet", "--set=ON_ERROR_STOP=1", "--command", &sql, &server],
    );
    let url = suite.servers.postgres_url(name);
    tool(
        "pg_restore",
        &["--exit-on-error", "--single-transaction", "--dbname", &url, path(dump)],
    );
}

/// Writes some messages to the portal user.
async fn write(suite: &Suite, conversation: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for _ in 0..MESSAGES {
        ids.insert(reply(suite, PRAIRIE, conversation, PRAIRIE.staff, "How are you today?").await);
    }
    ids
}

/// Waits until so many deliveries are there, all but `waiting` of them sent.
async fn recorded(suite: &Suite, all: usize, waiting: usize) {
    let there = until(LONG, async || {
        let ledger = deliveries(suite, PRAIRIE.organization).await;
        let sent = ledger.iter().filter(|one| one.state() == DeliveryState::Sent).count();
        (ledger.len(), ledger.len() - sent) == (all, waiting)
    });
    assert!(there.await, "{:?}", deliveries(suite, PRAIRIE.organization).await);
}

/// Ends everything at once, and leaves nothing of it: neither a database nor a queue.
async fn destroy(suite: &Suite) {
    for service in Service::ALL {
        suite.kill(service);
    }
    for service in Service::ALL {
        suite.servers.drop_database(suite.database(service)).await;
    }
    suite.servers.start_rabbitmq().await;
    broker::delete_queues(&suite.servers.amqp_url(), &suite.prefix).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_has_every_acknowledged_message_and_sends_once_what_was_not_sent() {
    let servers = Servers::private("restore").await;
    let suite = Suite::start_on(servers, "restore", Plan::default()).await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = begin(&suite, PRAIRIE).await;

    // Some emails have gone out, some wait for the mail server, and some events for the broker.
    let mut acknowledged = write(&suite, &conversation).await;
    recorded(&suite, MESSAGES + 1, 0).await;
    suite.smtp.stop().await;
    acknowledged.extend(write(&suite, &conversation).await);
    recorded(&suite, 2 * MESSAGES + 1, MESSAGES).await;
    suite.servers.stop_rabbitmq().await;
    acknowledged.extend(write(&suite, &conversation).await);
    assert_eq!(
        rows(&suite, Service::Messaging, "outbox").await,
        i64::try_from(MESSAGES).unwrap()
    );

    // Messaging first, notification last: the services run meanwhile.
    let dumps = [Service::Messaging, Service::Eligibility, Service::Notification].map(|one| (one, dump(&suite, one)));
    let sent_before = suite.smtp.mails_to(PRAIRIE.email).len();
    assert_eq!(sent_before, MESSAGES + 1);
    destroy(&suite).await;

    for (service, dump) in &dumps {
        restore(&suite, *service, dump);
    }
    suite.smtp.restart().await;
    for service in [Service::Eligibility, Service::Notification, Service::Messaging] {
        suite.start_service(service).await;
    }
    recorded(&suite, 3 * MESSAGES + 1, 0).await;
    assert_eq!(
        suite.smtp.mails_to(PRAIRIE.email).len(),
        3 * MESSAGES + 1,
        "each that was not sent went out once, and none that was sent"
    );

    // It goes on, for both sides; and every count is right.
    acknowledged.extend(write(&suite, &conversation).await);
    let answer = reply(
        &suite,
        PRAIRIE,
        &conversation,
        PRAIRIE.portal_user,
        "Better, thank you.",
    )
    .await;
    acknowledged.insert(answer);
    settle(&suite, PRAIRIE, &conversation, &acknowledged).await;
    for service in Service::ALL {
        assert_eq!(suite.stop(service).await, Some(0));
    }
}

/// The dump of notification is older than that of messaging, and in between messages were written and their emails sent: none is sent
/// twice, and the ledger has no delivery for them.
#[tokio::test(flavor = "multi_thread")]
async fn databases_of_different_instants_come_together_again() {
    let suite = Suite::start("diverged").await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = begin(&suite, PRAIRIE).await;
    write(&suite, &conversation).await;
    recorded(&suite, MESSAGES + 1, 0).await;

    // Notification first, the wrong way round: what it sends from now on, it will not know to have sent.
    let older = dump(&suite, Service::Notification);
    let acknowledged = write(&suite, &conversation).await;
    recorded(&suite, 2 * MESSAGES + 1, 0).await;
    let newer = dump(&suite, Service::Messaging);
    for service in [Service::Messaging, Service::Notification] {
        assert_eq!(suite.stop(service).await, Some(0));
        suite.servers.drop_database(suite.database(service)).await;
    }
    restore(&suite, Service::Notification, &older);
    restore(&suite, Service::Messaging, &newer);
    suite.start_service(Service::Notification).await;
    suite.start_service(Service::Messaging).await;

    // Their events had left the outbox: no delivery comes of them again, so no second email either. The messages are there.
    let next = reply(&suite, PRAIRIE, &conversation, PRAIRIE.staff, "And now?").await;
    recorded(&suite, MESSAGES + 2, 0).await;
    let ledger: BTreeSet<_> = deliveries(&suite, PRAIRIE.organization)
        .await
        .into_iter()
        .map(|delivery| delivery.message_id)
        .collect();
    assert!(ledger.contains(&next) && ledger.is_disjoint(&acknowledged));
    assert_eq!(suite.smtp.mails_to(PRAIRIE.email).len(), 2 * MESSAGES + 2);
    let messages = rows(&suite, Service::Messaging, "message").await;
    assert_eq!(messages, i64::try_from(2 * MESSAGES + 2).unwrap());
}
