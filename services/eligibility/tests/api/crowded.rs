//! A feed that never pauses keeps nobody out: who wants to write what its records refer to is served in turn (D1). On SQLite
//! there is one writer at a time anyway.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use carepost_proto::eligibility::v1::{ImportOptions, Location, Organization, import_directory_request::Record};
use sea_orm::{ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, TransactionTrait};

use tonic::Status;

use crate::{
    import_runs::until,
    sample::{chart, delete, portal_user, put, staff, unversioned, whole},
    support::{Column, Feeding, Service, location, organization, reason},
    whole::{directory, import},
};

/// A Put of a chart at `l1` that takes its time, as another replica has it.
async fn slow_put(database: &DatabaseConnection) -> DatabaseTransaction {
    let put = database.begin().await.unwrap();
    for lock in [
        "SELECT pg_advisory_xact_lock_shared(hashtextextended('import of org', 0))",
        "SELECT 1 FROM organization WHERE organization = 'org' FOR SHARE",
        "SELECT 1 FROM location WHERE organization = 'org' AND id = 'l1' FOR SHARE",
    ] {
        put.execute_unprepared(lock).await.unwrap();
    }
    put
}

/// How many of the service's transactions wait for a lock.
async fn waiting(service: &Service) -> u64 {
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    service.in_database(waiting).await
}

/// What needs the organization or the location for itself.
#[derive(Clone, Copy, Debug)]
enum Wanted {
    RenamedOrganization,
    RenamedLocation,
    DeletedLocation,
    Imported,
}

async fn write(mut feed: Feeding, wanted: Wanted) {
    let name = "Renamed".to_owned();
    match wanted {
        Wanted::RenamedOrganization => {
            let renamed = Organization {
                name,
                ..organization("org")
            };
            put(&mut feed, Record::Organization(renamed), 2).await.unwrap();
        }
        Wanted::RenamedLocation => {
            let renamed = Location { name, ..location("l1") };
            put(&mut feed, Record::Location(renamed), 2).await.unwrap();
        }
        Wanted::DeletedLocation => {
            delete(&mut feed, &Record::Location(location("l1")), 2).await.unwrap();
        }
        Wanted::Imported => {
            import(&mut feed, unversioned(directory("org", 3))).await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_what_records_refer_to_is_written_in_turn_however_many_records_come() {
    for wanted in [
        Wanted::RenamedOrganization,
        Wanted::RenamedLocation,
        Wanted::DeletedLocation,
        Wanted::Imported,
    ] {
        let service = Service::start(Column::Real, "in_turn").await;
        let mut feed = service.with_location("org").await;
        let database = Database::connect(service.database()).await.unwrap();
        let slow = slow_put(&database).await;
        let written = tokio::spawn(write(feed.clone(), wanted));
        until(async || (waiting(&service).await > 0).then_some(())).await;
        // It came later, and waits: else the next one would overtake as well, and the next.
        let later = tokio::spawn(async move { put(&mut feed, Record::Staff(staff("later")), 1).await });
        until(async || (waiting(&service).await > 1 || later.is_finished()).then_some(())).await;
        assert!(!later.is_finished(), "{wanted:?} was overtaken");
        slow.commit().await.unwrap();
        written.await.unwrap();
        later.await.unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_a_plan_waits_for_nobody_and_keeps_nobody_waiting() {
    let service = Service::start(Column::Real, "plan_locks").await;
    let mut feed = service.with_location("org").await;
    let database = Database::connect(service.database()).await.unwrap();
    let records = directory("org", 3);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    let other = database.begin().await.unwrap();
    for table in ["organization", "location", "staff", "chart", "portal_user"] {
        let lock = format!("SELECT 1 FROM {table} WHERE organization = 'org' FOR UPDATE");
        assert!(other.execute_unprepared(&lock).await.unwrap().rows_affected() > 0);
    }
    let options = ImportOptions {
        validate_only: true,
        ..ImportOptions::default()
    };
    let planned = import(&mut feed, whole(options, unversioned(records))).await.unwrap();
    assert_eq!(planned.unchanged, 12);
    other.rollback().await.unwrap();
}

/// What may become of a write where others write the same at the same time. All else would be a fault: a deadlock for example
/// is UNAVAILABLE.
const EXPECTED: [&str; 4] = [
    "VERSION_OUTDATED",
    "REFERENCE_MISSING",
    "STILL_REFERRED",
    "IMPORT_RUNNING",
];

fn any_record(number: usize) -> Record {
    let place = format!("l{}", number / 5 % 3);
    match number % 5 {
        0 => Record::Organization(organization("org")),
        1 => Record::Location(location(&place)),
        2 => Record::Staff(staff(&place)),
        3 => Record::Chart(chart(&format!("c{}", number / 15 % 4), &place)),
        _ => Record::PortalUser(portal_user(&place, "c1")),
    }
}

/// Writes and deletes what others write and delete, too.
async fn write_anything(mut feed: Feeding, writer: usize, version: Arc<AtomicI64>) -> Vec<Status> {
    let mut refused = Vec::new();
    for round in 0..40 {
        let number = (writer * 40 + round) * 7_919;
        let (record, version) = (any_record(number), version.fetch_add(1, Ordering::Relaxed));
        let written = if (number / 60).is_multiple_of(3) {
            delete(&mut feed, &record, version).await
        } else {
            put(&mut feed, record, version).await
        };
        refused.extend(written.err());
    }
    refused
}

/// Imports a directory that lacks something each time.
async fn import_anything(mut feed: Feeding, importer: usize) -> Vec<Status> {
    let options = ImportOptions {
        reconcile: true,
        allow_large_removal: true,
        ..ImportOptions::default()
    };
    let mut refused = Vec::new();
    for round in 0..12 {
        let mut records: Vec<_> = (1..60).map(any_record).collect();
        records.sort_by_key(|record| !matches!(record, Record::Organization(_) | Record::Location(_)));
        records.retain(|record| !matches!(record, Record::Organization(_)));
        records.drain(..(importer + round) % 4);
        records.insert(0, Record::Organization(organization("org")));
        refused.extend(import(&mut feed, whole(options, unversioned(records))).await.err());
    }
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn d1_whoever_writes_the_same_records_at_once_never_waits_in_a_circle() {
    let service = Service::start(Column::Real, "circles").await;
    let feed = service.with_location("org").await;
    let version = Arc::new(AtomicI64::new(10));
    let writers = (0..12).map(|writer| tokio::spawn(write_anything(feed.clone(), writer, version.clone())));
    let importers = (0..2).map(|importer| tokio::spawn(import_anything(feed.clone(), importer)));
    let all: Vec<_> = writers.chain(importers).collect();
    let (mut kept_out, mut others) = (0, 0);
    for refused in futures::future::join_all(all).await {
        for status in refused.unwrap() {
            let reason = reason(&status);
            assert!(EXPECTED.contains(&reason.as_str()), "{status:?}");
            *(if reason == "IMPORT_RUNNING" {
                &mut kept_out
            } else {
                &mut others
            }) += 1;
        }
    }
    assert!(
        kept_out < 24 && others < 12 * 40,
        "{kept_out} imports and {others} writes of all were refused"
    );
    let lost = "SELECT 1 FROM chart c JOIN location l ON l.organization = c.organization AND l.id = c.location
        WHERE c.deleted = FALSE AND l.deleted = TRUE";
    assert_eq!(service.in_database(lost).await, 0, "charts at a location that is gone");
}
