//! An import has an end: in time, when its process stops, and in what it takes away (D1).

use std::{sync::Arc, time::Duration};

use carepost_audit::Occasion;
use carepost_eligibility::{
    domain::directory::{EmrVersion, Entry, Incoming, Name, Record as Stored, Removals, Staff as StoredStaff},
    store::{ImportRun, Purpose, Store, StoreError, Write},
};
use carepost_identity::{Actor, OrganizationId, ServiceName};
use carepost_proto::eligibility::v1::{GetStaffRequest, import_directory_request::Record};
use carepost_runtime::{Clock, Ids};
use chrono::{DateTime, TimeDelta, Utc};
use futures::{StreamExt, stream};
use sea_orm::{ConnectionTrait, TransactionTrait};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::{
    import_runs::{Held, idle, running, until},
    sample::{of, staff, unversioned, whole},
    support::{Column, Service, on_both, reason},
    whole::{RECONCILE, directory, import, removed_records, tombstones, without},
};

/// A store beside the service's own, as another replica has it.
struct Replica {
    store: Store,
    organization: OrganizationId,
    actor: Actor,
    occasion: Occasion,
}

impl Replica {
    async fn of(service: &Service) -> Self {
        let database = sea_orm::Database::connect(service.database()).await.unwrap();
        Self {
            store: Store::new(database, Arc::default()),
            organization: "org".parse().unwrap(),
            actor: Actor::Service(ServiceName::parse("other").unwrap()),
            occasion: Occasion::own(uuid::Uuid::nil(), "test"),
        }
    }

    fn write(&self, now: DateTime<Utc>) -> Write<'_> {
        Write {
            organization: &self.organization,
            actor: &self.actor,
            now,
            occasion: &self.occasion,
        }
    }

    async fn put_staff(&self, id: &str, now: DateTime<Utc>) {
        let record = StoredStaff {
            id: id.parse().unwrap(),
            name: Name::parse("Nurse".to_owned()).unwrap(),
            email: None,
            active: true,
            roles: [].into(),
            all_locations: true,
            locations: [].into(),
        };
        let version = EmrVersion::parse(1).unwrap();
        let entry = Entry::Record(Incoming::new(Stored::Staff(record), Some(version)));
        let written = self.store.write_entries(self.write(now), &[&entry]).await.unwrap();
        assert!(written[0].is_ok());
    }

    async fn begin(&self, halt: &CancellationToken) -> ImportRun {
        let (holder, lease) = (Ids.next(Clock::system().now()), TimeDelta::minutes(5));
        let begun = self
            .store
            .begin_import(&self.organization, holder, Purpose::Write, lease, halt.clone());
        begun.await.unwrap().unwrap()
    }

    async fn plan(&self, run: &ImportRun) -> (Removals, Removals) {
        let stored = self.store.count_removable(run).await.unwrap();
        let write = self.write(Clock::system().now());
        let planned = self.store.plan_removals(write, run, stored.clone()).await.unwrap();
        (stored, planned)
    }

    async fn remove(&self, run: &ImportRun, (stored, planned): (Removals, Removals)) -> Result<Removals, StoreError> {
        let write = self.write(Clock::system().now());
        self.store.remove(write, run, stored, &planned).await
    }
}

on_both!(d1_what_is_put_beside_an_import_stays_whatever_the_clocks_of_replicas_say);
async fn d1_what_is_put_beside_an_import_stays_whatever_the_clocks_of_replicas_say(column: Column) {
    let service = Service::start(column, "skewed").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    let replica = Replica::of(&service).await;
    let now = Clock::system().now();
    // Before the import, by a clock that is ahead: it goes.
    replica.put_staff("before", now + TimeDelta::hours(1)).await;
    let held = Held::begin(&feed, whole(RECONCILE, unversioned(directory("org", 20))));
    running(&service).await;
    // Beside it, by a clock that is behind: it stays.
    replica.put_staff("beside", now - TimeDelta::hours(1)).await;
    let answer = held.end().await.unwrap();
    let went: Vec<_> = removed_records(&answer).into_iter().map(|(_, id)| id).collect();
    assert_eq!(went, ["before"]);
}

/// A record that is stamped, and not committed yet when an import begins, would be neither before it nor beside it. On SQLite
/// one transaction writes at a time.
#[tokio::test(flavor = "multi_thread")]
async fn d1_an_import_begins_when_no_put_is_under_way() {
    let service = Service::start(Column::Real, "under_way").await;
    service.with_location("org").await;
    let replica = Replica::of(&service).await;
    let database = sea_orm::Database::connect(service.database()).await.unwrap();
    let put = database.begin().await.unwrap();
    let stamp = "SELECT pg_advisory_xact_lock_shared(hashtextextended('import of org', 0))";
    put.execute_unprepared(stamp).await.unwrap();
    let run = tokio::spawn(async move { replica.begin(&CancellationToken::new()).await });
    let waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    until(async || (service.in_database(waiting).await > 0).then_some(())).await;
    assert_eq!(service.in_database("UPDATE import_lease SET holder = holder").await, 0);
    put.commit().await.unwrap();
    assert_eq!(run.await.unwrap().organization().as_str(), "org");
}

on_both!(d1_never_more_goes_than_was_planned);
async fn d1_never_more_goes_than_was_planned(column: Column) {
    let service = Service::start(column, "more_than_planned").await;
    let mut feed = service.with_location("org").await;
    let replica = Replica::of(&service).await;
    let run = replica.begin(&CancellationToken::new()).await;
    for id in ["s1", "s2", "s3"] {
        replica.put_staff(id, Clock::system().now()).await;
    }
    let plan = replica.plan(&run).await;
    let planned: Vec<_> = plan
        .1
        .kinds()
        .map(|(kind, removal)| (kind.as_str(), removal.removed))
        .collect();
    assert_eq!(planned, [("location", 1), ("staff", 0)]);
    // As if a failover had lost what the plan was made from.
    let age = "UPDATE staff SET updated_at = '2000-01-01 00:00:00+00:00'";
    assert_eq!(service.in_database(age).await, 3);
    let refused = replica.remove(&run, plan).await.unwrap_err();
    assert!(matches!(refused, StoreError::MoreThanPlanned), "{refused:?}");
    assert_eq!(tombstones(&mut feed).await, 0);
    // With a plan that says so, they go.
    let plan = replica.plan(&run).await;
    replica.remove(&run, plan).await.unwrap();
    assert_eq!(tombstones(&mut feed).await, 4);
}

on_both!(d1_a_removal_ends_when_it_is_told_to);
async fn d1_a_removal_ends_when_it_is_told_to(column: Column) {
    let service = Service::start(column, "halted").await;
    let mut feed = service.with_location("org").await;
    let replica = Replica::of(&service).await;
    let halt = CancellationToken::new();
    let run = replica.begin(&halt).await;
    let plan = replica.plan(&run).await;
    halt.cancel();
    let ended = replica.remove(&run, plan).await.unwrap_err();
    assert!(matches!(ended, StoreError::Halted), "{ended:?}");
    assert_eq!(tombstones(&mut feed).await, 0);
    replica.store.end_import(&run).await.unwrap();
    import(&mut feed, vec![]).await.unwrap();
}

on_both!(d1_a_client_that_goes_on_and_on_does_not_keep_others_out_for_ever);
async fn d1_a_client_that_goes_on_and_on_does_not_keep_others_out_for_ever(column: Column) {
    let more = "[import]\ntimeout_ms = 1000";
    let service = Service::start_with(column, "on_and_on", more).await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    let mut requests = whole(RECONCILE, unversioned(without(directory("org", 20), &["s001"])));
    requests.pop();
    let one_more = stream::iter(0..).then(async |n: u32| {
        tokio::time::sleep(Duration::from_millis(20)).await;
        of(0, Record::Staff(staff(&format!("late{n}"))))
    });
    let endless = stream::iter(requests).chain(one_more);
    let call = feed.import_directory(endless);
    let ended = tokio::time::timeout(Duration::from_secs(30), call).await;
    let refused = ended.unwrap().unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    idle(&feed).await;
    let staff_id = "s001".to_owned();
    let kept = feed.get_staff(GetStaffRequest { staff_id }).await.unwrap().into_inner();
    assert!(!kept.record.unwrap().deleted);
}

on_both!(d1_what_a_slow_client_sent_is_written_before_its_lease_ends);
async fn d1_what_a_slow_client_sent_is_written_before_its_lease_ends(column: Column) {
    let more = "[import]\nidle_timeout_ms = 500";
    let service = Service::start_with(column, "slow", more).await;
    let feed = service.feed("org");
    let held = Held::begin(&feed, unversioned(directory("org", 1)));
    // Each time it is looked for, one more comes: far fewer than fill a group.
    let mut sent = 0;
    until(async || {
        held.send(vec![of(0, Record::Staff(staff(&format!("late{sent}"))))]);
        sent += 1;
        let staff_id = "s000".to_owned();
        feed.clone().get_staff(GetStaffRequest { staff_id }).await.ok()
    })
    .await;
    assert!(sent < 400, "{sent}");
    assert_eq!(held.end().await.unwrap().added, 6 + sent);
}
