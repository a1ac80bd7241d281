//! One import of an organization at a time, and how each ends (D1).

use std::{collections::BTreeMap, time::Duration};

use carepost_proto::eligibility::v1::{
    GetStaffRequest, ImportDirectoryRequest, ImportDirectoryResponse, ImportOptions, ListStaffRequest, RecordKind,
    Staff, import_directory_request::Record,
};
use futures::{StreamExt, channel::mpsc, stream};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    sample::{of, put, staff, unversioned, whole},
    support::{Column, Feeding, Service, on_both, organization, reason},
    whole::{RECONCILE, directory, import, refusal, removed_records, tombstones, without},
};

/// An import that is held open.
pub struct Held {
    send: mpsc::UnboundedSender<ImportDirectoryRequest>,
    answer: tokio::task::JoinHandle<Result<ImportDirectoryResponse, Status>>,
}

impl Held {
    pub fn begin(feed: &Feeding, requests: Vec<ImportDirectoryRequest>) -> Self {
        let (send, receive) = mpsc::unbounded();
        let mut feed = feed.clone();
        let call = async move { feed.import_directory(receive).await.map(tonic::Response::into_inner) };
        let held = Self {
            send,
            answer: tokio::spawn(call),
        };
        held.send(requests);
        held
    }

    pub fn send(&self, requests: Vec<ImportDirectoryRequest>) {
        for request in requests {
            self.send.unbounded_send(request).unwrap();
        }
    }

    pub async fn end(self) -> Result<ImportDirectoryResponse, Status> {
        drop(self.send);
        self.answer.await.unwrap()
    }
}

/// Tries until it is so, for at most half a minute.
pub async fn until<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(done) = attempt().await {
                return done;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), trying).await.unwrap()
}

/// Waits until an import runs. To try one would be to run one.
pub async fn running(service: &Service) {
    until(async || (service.in_database("UPDATE import_lease SET holder = holder").await > 0).then_some(())).await;
}

/// Waits until none runs.
pub async fn idle(feed: &Feeding) {
    until(async || import(&mut feed.clone(), vec![]).await.ok()).await;
}

on_both!(one_import_of_an_organization_runs_at_a_time);
async fn one_import_of_an_organization_runs_at_a_time(column: Column) {
    let service = Service::start(column, "one_at_a_time").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    let requests = whole(RECONCILE, unversioned(directory("org", 20)));
    let held = Held::begin(&feed, requests.clone());
    running(&service).await;
    let refused = import(&mut feed, vec![]).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Aborted, "IMPORT_RUNNING")
    );
    assert!(refused.get_error_details().retry_info().unwrap().retry_delay.is_some());
    let elsewhere = import(&mut service.feed("other"), unversioned(directory("other", 1))).await;
    assert_eq!(elsewhere.unwrap().added, 6);
    // A Put goes on beside it, and is no part of the whole directory.
    put(&mut feed, Record::Staff(staff("beside")), 1).await.unwrap();
    assert_eq!(held.end().await.unwrap().removed_records, []);
    let answer = import(&mut feed, requests).await.unwrap();
    assert_eq!(removed_records(&answer), [(RecordKind::Staff, "beside")]);
}

on_both!(a_stream_that_breaks_off_takes_nothing_away_and_lets_the_next_one_in);
async fn a_stream_that_breaks_off_takes_nothing_away_and_lets_the_next_one_in(column: Column) {
    let service = Service::start(column, "breaks_off").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    let mut requests = whole(RECONCILE, unversioned(without(directory("org", 20), &["s001"])));
    // Whole but for the end of the stream.
    let held = Held::begin(&feed, requests.clone());
    running(&service).await;
    held.answer.abort();
    idle(&feed).await;
    assert_eq!(tombstones(&mut feed).await, 0);
    // And in the middle.
    requests.truncate(10);
    let held = Held::begin(&feed, requests);
    running(&service).await;
    held.answer.abort();
    idle(&feed).await;
    assert_eq!(tombstones(&mut feed).await, 0);
}

on_both!(a_silent_client_takes_nothing_away_and_lets_the_next_one_in);
async fn a_silent_client_takes_nothing_away_and_lets_the_next_one_in(column: Column) {
    let more = "[import]\nidle_timeout_ms = 500";
    let service = Service::start_with(column, "silent", more).await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    let requests = whole(RECONCILE, unversioned(without(directory("org", 20), &["s001"])));
    let held = Held::begin(&feed, requests);
    let Held { send, answer } = held;
    let refused = answer.await.unwrap().unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::DeadlineExceeded, "DEADLINE_EXCEEDED")
    );
    drop(send);
    assert_eq!(tombstones(&mut feed).await, 0);
    import(&mut feed, vec![]).await.unwrap();
}

const LEASE: &str = "INSERT INTO import_lease (organization, holder, expires_at) VALUES";

const NOBODY: &str = "'01a2049f-0656-7fd2-9f55-2289d6781849'";

on_both!(the_lease_of_an_import_that_was_killed_ends_by_itself);
async fn the_lease_of_an_import_that_was_killed_ends_by_itself(column: Column) {
    let service = Service::start(column, "killed").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    // It had seen a record that the next stream does not have.
    service
        .in_database("INSERT INTO import_seen (organization, kind, id) VALUES ('org', 3, 's001')")
        .await;
    let lease = |until: &str| format!("{LEASE} ('org', {NOBODY}, '{until}')");
    service.in_database(&lease("2999-01-01 00:00:00+00:00")).await;
    let refused = import(&mut feed, vec![]).await.unwrap_err();
    assert_eq!(reason(&refused), "IMPORT_RUNNING");
    service.in_database("DELETE FROM import_lease").await;
    service.in_database(&lease("2026-01-01 00:00:00+00:00")).await;
    let less = without(directory("org", 20), &["s001"]);
    let answer = import(&mut feed, whole(RECONCILE, unversioned(less))).await.unwrap();
    assert_eq!(removed_records(&answer), [(RecordKind::Staff, "s001")]);
    for table in ["import_lease", "import_seen"] {
        assert_eq!(service.in_database(&format!("DELETE FROM {table}")).await, 0);
    }
}

on_both!(an_import_that_lost_its_lease_writes_no_more);
async fn an_import_that_lost_its_lease_writes_no_more(column: Column) {
    let service = Service::start(column, "superseded").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    let mut requests = whole(RECONCILE, unversioned(without(directory("org", 20), &["s001"])));
    // In the first group, which is not full and so not written before the stream ends.
    requests.insert(2, of(0, Record::Staff(staff("late"))));
    let held = Held::begin(&feed, requests);
    running(&service).await;
    let taken = format!("UPDATE import_lease SET holder = {NOBODY}");
    assert_eq!(service.in_database(&taken).await, 1);
    let refused = held.end().await.unwrap_err();
    assert_eq!(reason(&refused), "IMPORT_RUNNING");
    assert_eq!(tombstones(&mut feed).await, 0);
    let staff_id = "late".to_owned();
    let absent = feed.get_staff(GetStaffRequest { staff_id }).await.unwrap_err();
    assert_eq!(absent.code(), Code::NotFound);
    let kept = service.in_database("DELETE FROM import_lease").await;
    assert_eq!(kept, 1, "the lease is the other's");
}

on_both!(what_was_seen_is_forgotten_only_with_a_refusal);
async fn what_was_seen_is_forgotten_only_with_a_refusal(column: Column) {
    let service = Service::start(column, "forgotten").await;
    let mut feed = service.feed("org");
    let many: Vec<_> = (0..600).map(|n| Record::Staff(staff(&format!("s{n}")))).collect();
    let mut records = vec![Record::Organization(organization("org"))];
    records.extend(many);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    let options = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    let held = Held::begin(&feed, whole(options, unversioned(records)));
    // As PostgreSQL does after a crash.
    until(async || (service.in_database("DELETE FROM import_seen").await > 0).then_some(())).await;
    let refused = held.end().await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Unavailable, "DEPENDENCY_UNAVAILABLE")
    );
    assert_eq!(import(&mut feed, vec![]).await.unwrap().refused, 0);
    let request = ListStaffRequest {
        show_deleted: true,
        ..Default::default()
    };
    let listed = feed.list_staff(request).await.unwrap().into_inner();
    assert!(listed.staff.iter().all(|kept| !kept.deleted));
}

on_both!(a_record_of_a_mebibyte_is_too_large_in_every_rpc);
async fn a_record_of_a_mebibyte_is_too_large_in_every_rpc(column: Column) {
    let service = Service::start(column, "too_large").await;
    let mut feed = service.with_location("org").await;
    let large = Staff {
        name: "x".repeat(1_024 * 1_024),
        ..staff("s1")
    };
    let unary = put(&mut feed, Record::Staff(large.clone()), 1).await.unwrap_err();
    let records = stream::iter([of(0, Record::Staff(staff("s2"))), of(0, Record::Staff(large))]);
    // The client goes on sending: it is told all the same.
    let endless = records.chain(stream::pending());
    let streamed = feed.import_directory(endless).await.unwrap_err();
    for refused in [unary, streamed] {
        assert_eq!(
            refusal(&refused),
            (Code::OutOfRange, "REQUEST_TOO_LARGE".to_owned(), BTreeMap::new())
        );
    }
    idle(&feed).await;
}
