//! ImportDirectory of a whole directory (D1): what it no longer has goes, but only if the stream was whole.

use std::{collections::BTreeMap, time::Duration};

use carepost_proto::eligibility::v1::{
    Audience, Chart, GetChartRequest, GetStaffRequest, ImportDirectoryRequest, ImportDirectoryResponse, ImportOptions,
    ImportTrailer, ListChartsRequest, ListLocationsRequest, ListPortalUsersRequest, ListStaffRequest, RecordKind,
    Removal, Staff, import_directory_request::Record,
};
use futures::{StreamExt, channel::mpsc, stream};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    import::{brand, setting},
    sample::{chart, delete, of, portal_user, put, staff, unversioned, version, whole},
    support::{Column, Feeding, Service, location, on_both, organization, reason},
};

const RECONCILE: ImportOptions = ImportOptions {
    reconcile: true,
    validate_only: false,
    allow_large_removal: false,
};

/// An organization with two locations, and this many of each other kind.
fn directory(id: &str, many: usize) -> Vec<Record> {
    let mut records = vec![
        Record::Organization(organization(id)),
        Record::Location(location("l1")),
        Record::Location(location("l2")),
    ];
    records.extend((0..many).map(|n| Record::Staff(staff(&format!("s{n:03}")))));
    records.extend((0..many).map(|n| Record::Chart(chart(&format!("c{n:03}"), "l1"))));
    records.extend((0..many).map(|n| Record::PortalUser(portal_user(&format!("u{n:03}"), &format!("c{n:03}")))));
    records
}

fn id(record: &Record) -> &str {
    match record {
        Record::Location(record) => &record.id,
        Record::Staff(record) => &record.id,
        Record::Chart(record) => &record.id,
        Record::PortalUser(record) => &record.id,
        _ => "",
    }
}

fn without(mut records: Vec<Record>, gone: &[&str]) -> Vec<Record> {
    records.retain(|record| !gone.contains(&id(record)));
    records
}

async fn import(feed: &mut Feeding, requests: Vec<ImportDirectoryRequest>) -> Result<ImportDirectoryResponse, Status> {
    let answer = feed.import_directory(stream::iter(requests)).await;
    answer.map(tonic::Response::into_inner)
}

fn removals(answer: &ImportDirectoryResponse) -> BTreeMap<i32, (i64, i64, i64)> {
    let removals = answer.removals.iter();
    removals.map(|of| (of.kind, (of.stored, of.removed, of.kept))).collect()
}

fn removed_records(answer: &ImportDirectoryResponse) -> Vec<(RecordKind, &str)> {
    let records = answer.removed_records.iter();
    records.map(|record| (record.kind(), record.id.as_str())).collect()
}

/// How many tombstones there are of each kind.
async fn tombstones(feed: &mut Feeding) -> usize {
    macro_rules! count {
        ($rpc:ident, $request:ident, $field:ident) => {{
            let request = $request {
                show_deleted: true,
                page_size: 100,
                ..Default::default()
            };
            let answer = feed.$rpc(request).await.unwrap().into_inner();
            assert_eq!(answer.next_page_token, "", "one page is enough for these tests");
            answer.$field.iter().filter(|kept| kept.deleted).count()
        }};
    }
    count!(list_locations, ListLocationsRequest, locations)
        + count!(list_staff, ListStaffRequest, staff)
        + count!(list_charts, ListChartsRequest, charts)
        + count!(list_portal_users, ListPortalUsersRequest, portal_users)
}

on_both!(what_a_whole_directory_no_longer_has_goes);
async fn what_a_whole_directory_no_longer_has_goes(column: Column) {
    let service = Service::start(column, "reconcile").await;
    let mut feed = service.feed("org");
    let records = directory("org", 30);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    let gone = ["s003", "c004", "u005", "u006"];
    let stream = whole(RECONCILE, unversioned(without(records.clone(), &gone)));
    let plan = ImportOptions {
        validate_only: true,
        ..RECONCILE
    };
    let planned = import(&mut feed, whole(plan, unversioned(without(records.clone(), &gone))))
        .await
        .unwrap();
    assert!(planned.validate_only);
    assert_eq!(tombstones(&mut feed).await, 0);

    let answer = import(&mut feed, stream.clone()).await.unwrap();
    assert_eq!(
        (answer.added, answer.changed, answer.unchanged, answer.refused),
        (0, 0, 89, 0)
    );
    let expected = BTreeMap::from([
        (RecordKind::Location.into(), (2, 0, 0)),
        (RecordKind::Staff.into(), (30, 1, 0)),
        (RecordKind::Chart.into(), (30, 1, 0)),
        (RecordKind::PortalUser.into(), (30, 2, 0)),
    ]);
    assert_eq!(removals(&answer), expected);
    let expected = [
        (RecordKind::Staff, "s003"),
        (RecordKind::Chart, "c004"),
        (RecordKind::PortalUser, "u005"),
        (RecordKind::PortalUser, "u006"),
    ];
    assert_eq!(removed_records(&answer), expected);
    assert_eq!(
        planned,
        ImportDirectoryResponse {
            validate_only: true,
            ..answer
        }
    );
    assert_eq!(tombstones(&mut feed).await, 4);
    let staff_id = "s003".to_owned();
    let kept = feed.get_staff(GetStaffRequest { staff_id }).await.unwrap();
    let kept = kept.into_inner().record.unwrap();
    assert_eq!(
        (kept.deleted, kept.version, kept.staff),
        (true, Some(version(0, 1)), Some(staff("s003")))
    );

    let again = import(&mut feed, stream).await.unwrap();
    assert_eq!((again.unchanged, again.removed_records.len()), (89, 0));
    let back = import(&mut feed, whole(RECONCILE, unversioned(records))).await.unwrap();
    assert_eq!((back.added, back.changed, back.unchanged), (0, 4, 89));
    assert_eq!(tombstones(&mut feed).await, 0);
}

on_both!(what_a_reconciliation_took_comes_back_with_the_same_version);
async fn what_a_reconciliation_took_comes_back_with_the_same_version(column: Column) {
    let service = Service::start(column, "back_again").await;
    let mut feed = service.feed("org");
    let versioned = |records: Vec<Record>| records.into_iter().map(|record| of(7, record)).collect();
    let records = directory("org", 20);
    import(&mut feed, versioned(records.clone())).await.unwrap();
    let less = whole(RECONCILE, versioned(without(records.clone(), &["c001"])));
    assert_eq!(import(&mut feed, less).await.unwrap().removed_records.len(), 1);
    let back = import(&mut feed, whole(RECONCILE, versioned(records.clone())))
        .await
        .unwrap();
    assert_eq!((back.changed, back.refused), (1, 0), "{:?}", back.refusals);
    // What the EMR itself deleted does not.
    delete(&mut feed, &Record::Chart(chart("c001", "l1")), 8).await.unwrap();
    let old = import(&mut feed, whole(RECONCILE, versioned(records))).await.unwrap();
    assert_eq!((old.changed, old.refused), (0, 1));
    assert_eq!(tombstones(&mut feed).await, 1);
}

/// The reason and metadata of a refusal.
fn refusal(status: &Status) -> (Code, String, BTreeMap<String, String>) {
    let details = status.get_error_details();
    let info = details.error_info().cloned().unwrap();
    (status.code(), info.reason, info.metadata.into_iter().collect())
}

fn metadata<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

on_both!(nothing_goes_unless_the_stream_was_whole);
async fn nothing_goes_unless_the_stream_was_whole(column: Column) {
    let service = Service::start(column, "not_whole").await;
    let mut feed = service.feed("org");
    let records = directory("org", 20);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    let less = without(records, &["s001", "c001", "u001"]);
    let received = less.len().to_string();
    let good = whole(RECONCILE, unversioned(less.clone()));

    let mut no_trailer = good.clone();
    no_trailer.pop();
    let mut wrong_count = no_trailer.clone();
    let trailer = |record_count| of(0, Record::Trailer(ImportTrailer { record_count }));
    wrong_count.push(trailer(i64::try_from(less.len()).unwrap() + 1));
    for stream in [no_trailer.clone(), wrong_count] {
        let refused = import(&mut feed, stream).await.unwrap_err();
        let expected = (
            Code::InvalidArgument,
            "IMPORT_INCOMPLETE".to_owned(),
            metadata([("received", &received)]),
        );
        assert_eq!(refusal(&refused), expected);
    }
    let nameless = Staff {
        id: "bad id".to_owned(),
        ..staff("s1")
    };
    let mut with_nameless = less.clone();
    with_nameless.push(Record::Staff(nameless));
    let refused = import(&mut feed, whole(RECONCILE, unversioned(with_nameless)))
        .await
        .unwrap_err();
    let (_, why, told) = refusal(&refused);
    assert_eq!(
        (why.as_str(), told["index"].clone()),
        ("IMPORT_INCOMPLETE", (less.len() + 1).to_string())
    );
    let mut no_record = no_trailer.clone();
    no_record.push(ImportDirectoryRequest::default());
    no_record.push(trailer(i64::try_from(less.len()).unwrap() + 1));
    assert_eq!(
        reason(&import(&mut feed, no_record).await.unwrap_err()),
        "IMPORT_INCOMPLETE"
    );

    let mut options_late = good.clone();
    options_late.insert(3, of(0, Record::Options(RECONCILE)));
    let refused = import(&mut feed, options_late).await.unwrap_err();
    assert_eq!(crate::support::wrong_fields(&refused), ["options"]);
    let mut after_trailer = good.clone();
    after_trailer.push(of(0, Record::Staff(staff("s9"))));
    let refused = import(&mut feed, after_trailer).await.unwrap_err();
    assert_eq!(crate::support::wrong_fields(&refused), ["trailer"]);
    let mut too_large = no_trailer;
    too_large.push(of(
        0,
        Record::Staff(Staff {
            name: "x".repeat(1_024 * 1_024),
            ..staff("s9")
        }),
    ));
    let refused = import(&mut feed, too_large).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "REQUEST_TOO_LARGE");
    assert_eq!(refused.code(), Code::OutOfRange);

    assert_eq!(tombstones(&mut feed).await, 0);
    let answer = import(&mut feed, good).await.unwrap();
    assert_eq!((answer.removed_records.len(), tombstones(&mut feed).await), (3, 3));
}

on_both!(a_refused_record_with_an_id_is_there);
async fn a_refused_record_with_an_id_is_there(column: Column) {
    let service = Service::start(column, "refused_is_there").await;
    let mut feed = service.feed("org");
    let mut records = directory("org", 20);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    for record in &mut records {
        match record {
            Record::Staff(staff) if staff.id == "s001" => staff.name = String::new(),
            Record::Chart(chart) if chart.id == "c001" => chart.location_id = "nowhere".to_owned(),
            Record::PortalUser(user) if user.id == "u001" => user.status = 99,
            _ => {}
        }
    }
    let answer = import(&mut feed, whole(RECONCILE, unversioned(records))).await.unwrap();
    assert_eq!((answer.refused, answer.removed_records.len()), (3, 0));
    assert_eq!(tombstones(&mut feed).await, 0);
}

on_both!(no_more_than_a_tenth_of_a_kind_goes_without_the_flag);
async fn no_more_than_a_tenth_of_a_kind_goes_without_the_flag(column: Column) {
    let service = Service::start(column, "large_removal").await;
    let mut feed = service.feed("org");
    let records = directory("org", 20);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    // Three of twenty portal users, of seventy records in all; what else changed is written.
    let mut less = without(records, &["u001", "u002", "u003"]);
    less.push(Record::Staff(staff("new")));
    let refused = import(&mut feed, whole(RECONCILE, unversioned(less.clone())))
        .await
        .unwrap_err();
    let expected = (
        Code::FailedPrecondition,
        "REMOVAL_TOO_LARGE".to_owned(),
        metadata([("kind", "portal_user"), ("removed", "3"), ("stored", "20")]),
    );
    assert_eq!(refusal(&refused), expected);
    assert_eq!(tombstones(&mut feed).await, 0);
    let staff_id = "new".to_owned();
    feed.get_staff(GetStaffRequest { staff_id }).await.unwrap();

    let plan = ImportOptions {
        validate_only: true,
        ..RECONCILE
    };
    let planned = import(&mut feed, whole(plan, unversioned(less.clone()))).await.unwrap();
    assert_eq!(planned.removed_records.len(), 3, "the plan can be looked at");
    let allowed = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    let answer = import(&mut feed, whole(allowed, unversioned(less))).await.unwrap();
    assert_eq!((answer.removed_records.len(), tombstones(&mut feed).await), (3, 3));
}

on_both!(new_records_do_not_make_room_for_a_large_removal);
async fn new_records_do_not_make_room_for_a_large_removal(column: Column) {
    let service = Service::start(column, "no_dilution").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 10))).await.unwrap();
    let mut others = directory("org", 0);
    others.extend((0..200).map(|n| Record::Staff(staff(&format!("other{n}")))));
    let refused = import(&mut feed, whole(RECONCILE, unversioned(others)))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).1, "REMOVAL_TOO_LARGE");
}

on_both!(a_location_goes_once_no_chart_is_there);
async fn a_location_goes_once_no_chart_is_there(column: Column) {
    let service = Service::start(column, "locations_go").await;
    let mut feed = service.feed("org");
    let options = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    import(&mut feed, unversioned(directory("org", 3))).await.unwrap();
    // The charts are at l1, which the stream no longer has; nothing is at l2.
    let less = without(directory("org", 3), &["l1", "l2"]);
    let answer = import(&mut feed, whole(options, unversioned(less.clone())))
        .await
        .unwrap();
    assert_eq!(removals(&answer)[&RecordKind::Location.into()], (2, 1, 1));
    assert_eq!(removed_records(&answer), [(RecordKind::Location, "l2")]);
    // Charts move, and others go with the location.
    let mut moved = without(less, &["c001", "c002"]);
    moved.insert(1, Record::Location(location("l3")));
    for record in &mut moved {
        if let Record::Chart(chart) = record {
            chart.location_id = "l3".to_owned();
        }
    }
    let answer = import(&mut feed, whole(options, unversioned(moved))).await.unwrap();
    let expected = [
        (RecordKind::Location, "l1"),
        (RecordKind::Chart, "c001"),
        (RecordKind::Chart, "c002"),
    ];
    assert_eq!(removed_records(&answer), expected);
    let chart_id = "c000".to_owned();
    let kept = feed.get_chart(GetChartRequest { chart_id }).await.unwrap();
    assert_eq!(kept.into_inner().record.unwrap().chart.unwrap().location_id, "l3");
}

/// An import that is held open.
struct Held {
    send: mpsc::UnboundedSender<ImportDirectoryRequest>,
    answer: tokio::task::JoinHandle<Result<ImportDirectoryResponse, Status>>,
}

impl Held {
    fn begin(feed: &Feeding, requests: Vec<ImportDirectoryRequest>) -> Self {
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

    fn send(&self, requests: Vec<ImportDirectoryRequest>) {
        for request in requests {
            self.send.unbounded_send(request).unwrap();
        }
    }

    async fn end(self) -> Result<ImportDirectoryResponse, Status> {
        drop(self.send);
        self.answer.await.unwrap()
    }
}

/// Tries until it is so, for at most half a minute.
async fn until<T>(mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
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
async fn running(service: &Service) {
    until(async || (service.in_database("UPDATE import_lease SET holder = holder").await > 0).then_some(())).await;
}

/// Waits until none runs.
async fn idle(feed: &Feeding) {
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
    requests.insert(1, of(0, Record::Staff(staff("late"))));
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

on_both!(a_reconciliation_of_many_groups_is_whole);
async fn a_reconciliation_of_many_groups_is_whole(column: Column) {
    let service = Service::start(column, "many_windows").await;
    let mut feed = service.feed("org");
    let records = |many: usize, step: usize| {
        let mut records = directory("org", 0);
        records.extend(
            (0..many)
                .step_by(step)
                .map(|n| Record::Chart(chart(&format!("c{n}"), "l1"))),
        );
        unversioned(records)
    };
    assert_eq!(import(&mut feed, records(9_000, 1)).await.unwrap().added, 9_003);
    let options = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    let answer = import(&mut feed, whole(options, records(9_000, 2))).await.unwrap();
    assert_eq!(answer.unchanged, 4_503);
    assert_eq!(removals(&answer)[&RecordKind::Chart.into()], (9_000, 4_500, 0));
    assert_eq!(answer.removed_records.len(), 1_000);
}

/// Something small and random that an import may bring.
fn any_request() -> impl Strategy<Value = ImportDirectoryRequest> {
    let (n, l, name) = (0..5_u8, 0..4_u8, prop::sample::select(vec!["Ann", "Bea", ""]));
    let version = prop::sample::select(vec![0_i64, 0, 0, 1, 2, 3, -1]);
    (0..9_u8, n, l, name, version).prop_map(|(kind, n, l, name, version)| {
        let record = match kind {
            0 => Record::Organization(organization("unknown")),
            1 | 2 => Record::Location(carepost_proto::eligibility::v1::Location {
                name: name.to_owned(),
                ..location(&format!("l{l}"))
            }),
            3 => Record::Staff(Staff {
                name: name.to_owned(),
                ..staff(&format!("s{n}"))
            }),
            4 | 5 => Record::Chart(Chart {
                patient_name: name.to_owned(),
                ..chart(&format!("c{n}"), &format!("l{l}"))
            }),
            6 => Record::PortalUser(carepost_proto::eligibility::v1::PortalUser {
                name: name.to_owned(),
                ..portal_user(&format!("u{n}"), &format!("c{l}"))
            }),
            7 => {
                let place = format!("l{l}");
                setting(
                    Some(&place).filter(|_| n > 1).map(String::as_str),
                    true,
                    Audience::CareTeamOnly,
                )
            }
            _ => {
                let place = format!("l{l}");
                brand(Some(&place).filter(|_| n > 1).map(String::as_str), "Care")
            }
        };
        of(version, record)
    })
}

/// Options whose removals may be any size: with so few records, every one is large.
fn any_options() -> impl Strategy<Value = ImportOptions> {
    prop::bool::weighted(0.8).prop_map(|reconcile| ImportOptions {
        reconcile,
        validate_only: false,
        allow_large_removal: true,
    })
}

/// The stream of a case, for its own organization: mostly with its organization first.
fn for_organization(id: &str, mut requests: Vec<ImportDirectoryRequest>) -> Vec<ImportDirectoryRequest> {
    for request in &mut requests {
        if let Some(Record::Organization(record)) = &mut request.record {
            *record = organization(id);
        }
    }
    requests
}

on_both!(a_plan_is_what_the_import_then_does);
async fn a_plan_is_what_the_import_then_does(column: Column) {
    let service = Service::start(column, "plan").await;
    let cases = (
        prop::collection::vec(any_request(), 0..30),
        prop::collection::vec((any_request(), any::<bool>()), 0..6),
        prop::collection::vec(any_request(), 0..30),
        any_options(),
        prop::bool::weighted(0.9),
    );
    let mut runner = TestRunner::deterministic();
    let mut removed = 0;
    for case in 0..80 {
        let (before, writes, stream, options, organization_first) = cases.new_tree(&mut runner).unwrap().current();
        let id = format!("org{case}");
        let mut feed = service.feed(&id);
        let first = of(0, Record::Organization(organization(&id)));
        let with_first = |requests: Vec<_>, is_first: bool| {
            let first = is_first.then(|| first.clone());
            first
                .into_iter()
                .chain(for_organization(&id, requests))
                .collect::<Vec<_>>()
        };
        import(&mut feed, with_first(before, organization_first)).await.unwrap();
        for (request, is_deletion) in writes {
            let record = request.record.unwrap();
            if matches!(
                record,
                Record::MessagingSettingsSeed(_) | Record::BrandSeed(_) | Record::Organization(_)
            ) {
                continue;
            }
            // Whatever comes of it.
            let _ = if is_deletion {
                delete(&mut feed, &record, request.version.abs() + 1).await
            } else {
                put(&mut feed, record, request.version.abs() + 1).await
            };
        }
        let stream = with_first(stream, organization_first);
        let plan = ImportOptions {
            validate_only: true,
            ..options
        };
        let planned = import(&mut feed, whole(plan, stream.clone())).await.unwrap();
        let again = import(&mut feed, whole(plan, stream.clone())).await.unwrap();
        assert_eq!(planned, again, "a plan changes nothing");
        let done = import(&mut feed, whole(options, stream)).await.unwrap();
        removed += done.removed_records.len();
        assert_eq!(
            planned,
            ImportDirectoryResponse {
                validate_only: true,
                ..done
            },
            "case {case}"
        );
    }
    assert!(removed > 50, "the cases are not idle: {removed} removed");
}

on_both!(removals_are_told_by_kind);
async fn removals_are_told_by_kind(column: Column) {
    let service = Service::start(column, "removals_told").await;
    let mut feed = service.feed("org");
    let empty = import(&mut feed, whole(RECONCILE, unversioned(directory("org", 2))))
        .await
        .unwrap();
    assert_eq!(empty.removals, [], "nothing was stored before");
    let records = without(directory("org", 2), &["l2"]);
    let refused = import(&mut feed, whole(RECONCILE, unversioned(records.clone())))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused).2,
        metadata([("kind", "location"), ("removed", "1"), ("stored", "2")])
    );
    let options = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    let answer = import(&mut feed, whole(options, unversioned(records))).await.unwrap();
    let first = Removal {
        kind: RecordKind::Location.into(),
        stored: 2,
        removed: 1,
        kept: 0,
    };
    assert_eq!(answer.removals.first(), Some(&first));
}

on_both!(what_goes_is_told_to_the_suite);
async fn what_goes_is_told_to_the_suite(column: Column) {
    let service = Service::start(column, "removal_events").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    let mut events = service.events();
    assert_eq!(events.next().await.staff_ids.len(), 20);
    let less = without(directory("org", 20), &["s001", "c001"]);
    import(&mut feed, whole(RECONCILE, unversioned(less))).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = events.next().await;
        told.extend(event.staff_ids);
        told.extend(event.chart_ids);
    }
    told.sort();
    assert_eq!(told, ["c001", "s001"]);
    delete(&mut feed, &Record::PortalUser(portal_user("u002", "c002")), 1)
        .await
        .unwrap();
    assert_eq!(events.next().await.portal_user_ids, ["u002"]);
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
