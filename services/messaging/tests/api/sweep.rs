//! A request id is known for a day (AIP-155), and as long as its row is there.

use carepost_identity::{OrganizationId, PersonId};
use carepost_messaging::store::{Opened, RequestKey, Store};
use carepost_messaging_migration::Migrator;
use carepost_testkit::servers::Servers;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm::{Database, DatabaseConnection};
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

use crate::{
    round_trips::Sender,
    support::{Column, on_both},
};

async fn database(column: Column, folder: &tempfile::TempDir) -> DatabaseConnection {
    let url = match column {
        Column::Real => {
            let servers = Servers::ensure().await;
            servers.postgres_url(&servers.create_database("sweep").await)
        }
        Column::Embedded => format!("sqlite://{}?mode=rwc", folder.path().join("sweep.db").display()),
    };
    let database = Database::connect(url).await.unwrap();
    Migrator::up(&database, None).await.unwrap();
    database
}

async fn knows(store: &Store, request: &str, conversation: Uuid) -> bool {
    let organization = OrganizationId::parse("southern").unwrap();
    let nurse = PersonId::parse("staff/nurse").unwrap();
    let key = RequestKey {
        rpc: "Reply",
        id: request,
        digest: [0; 32],
    };
    let opened = store
        .open(&organization, &nurse, key, Some(conversation))
        .await
        .unwrap();
    matches!(opened, Opened::Known(_))
}

on_both!(a_request_is_known_for_a_day_and_while_its_row_is_there);
async fn a_request_is_known_for_a_day_and_while_its_row_is_there(column: Column) {
    let folder = tempfile::tempdir().unwrap();
    let sender = Sender::new(database(column, &folder).await);
    let conversation = sender.start().await;
    sender.reply(conversation, "known").await;
    let sent: DateTime<Utc> = carepost_runtime::Clock::system().now();

    let more = sender.store.sweep_requests(sent + TimeDelta::hours(23)).await.unwrap();
    assert!(
        !more && knows(&sender.store, "known", conversation).await,
        "within a day"
    );
    let late = sent + TimeDelta::hours(25);
    assert!(
        knows(&sender.store, "known", conversation).await,
        "a row that was not swept yet counts"
    );
    assert!(!sender.store.sweep_requests(late).await.unwrap());
    assert!(!knows(&sender.store, "known", conversation).await);
}
