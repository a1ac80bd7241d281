//! Delete (D1): by version, with tombstones.

use carepost_proto::eligibility::v1::{
    AccountStatus, Action, CheckEligibilityRequest, GetChartRequest, GetEmailRecipientRequest, GetLocationRequest,
    GetOrganizationRequest, GetPortalUserRequest, GetStaffRequest, Location, PortalParties, Question, RecordVersion,
    StaffParties, WriteOutcome, import_directory_request::Record, question::Parties,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    sample::{chart, delete, portal_user, put, staff, version},
    support::{Asking, Column, Feeding, Service, location, on_both, organization, reason},
};

/// What a Get says: the record, its version, and whether it is deleted.
type Got = (Option<Record>, RecordVersion, bool);

async fn get(feed: &mut Feeding, record: &Record) -> Got {
    macro_rules! got {
        ($call:ident($request:expr) => $variant:ident($field:ident)) => {{
            let record = feed.$call($request).await.unwrap().into_inner().record.unwrap();
            assert!(record.update_time.is_some());
            (
                record.$field.map(Record::$variant),
                record.version.unwrap(),
                record.deleted,
            )
        }};
    }
    match record.clone() {
        Record::Organization(_) => got!(get_organization(GetOrganizationRequest {}) => Organization(organization)),
        Record::Location(of) => got!(get_location(GetLocationRequest { location_id: of.id }) => Location(location)),
        Record::Staff(of) => got!(get_staff(GetStaffRequest { staff_id: of.id }) => Staff(staff)),
        Record::Chart(of) => got!(get_chart(GetChartRequest { chart_id: of.id }) => Chart(chart)),
        Record::PortalUser(of) => {
            got!(get_portal_user(GetPortalUserRequest { portal_user_id: of.id }) => PortalUser(portal_user))
        }
        other => panic!("{other:?} is not got"),
    }
}

/// One of each kind, to which nothing refers. The organization comes last.
fn one_of_each() -> [Record; 5] {
    [
        Record::Location(location("l9")),
        Record::Staff(staff("s9")),
        Record::Chart(chart("c9", "l1")),
        Record::PortalUser(portal_user("u9", "c9")),
        Record::Organization(organization("org")),
    ]
}

/// The same kind and id, with nothing else.
fn id_alone(record: &Record) -> Record {
    match record.clone() {
        Record::Organization(of) => Record::Organization(carepost_proto::eligibility::v1::Organization {
            id: of.id,
            ..Default::default()
        }),
        Record::Location(of) => Record::Location(Location {
            id: of.id,
            ..Default::default()
        }),
        Record::Staff(of) => Record::Staff(carepost_proto::eligibility::v1::Staff {
            id: of.id,
            ..Default::default()
        }),
        Record::Chart(of) => Record::Chart(carepost_proto::eligibility::v1::Chart {
            id: of.id,
            ..Default::default()
        }),
        Record::PortalUser(of) => Record::PortalUser(carepost_proto::eligibility::v1::PortalUser {
            id: of.id,
            ..Default::default()
        }),
        other => panic!("{other:?}"),
    }
}

fn refused(answer: Result<(WriteOutcome, RecordVersion), Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), reason(&status))
}

fn conflict() -> (Code, String) {
    (Code::Aborted, "VERSION_CONFLICT".to_owned())
}

fn outdated() -> (Code, String) {
    (Code::FailedPrecondition, "VERSION_OUTDATED".to_owned())
}

fn missing() -> (Code, String) {
    (Code::FailedPrecondition, "REFERENCE_MISSING".to_owned())
}

on_both!(a_deletion_leaves_a_tombstone_that_only_a_newer_record_replaces);
async fn a_deletion_leaves_a_tombstone_that_only_a_newer_record_replaces(column: Column) {
    use WriteOutcome::{Changed, Unchanged};
    let service = Service::start(column, "deletes").await;
    for record in one_of_each() {
        let mut feed = match record {
            Record::Organization(_) => service.feed("org"),
            _ => service.with_location("others").await,
        };
        put(&mut feed, record.clone(), 5).await.unwrap();
        assert_eq!(refused(delete(&mut feed, &record, 5).await), conflict());
        assert_eq!(refused(delete(&mut feed, &record, 4).await), outdated());
        assert_eq!(delete(&mut feed, &record, 6).await.unwrap(), (Changed, version(6, 0)));
        assert_eq!(
            get(&mut feed, &record).await,
            (Some(record.clone()), version(6, 0), true)
        );
        assert_eq!(delete(&mut feed, &record, 6).await.unwrap(), (Unchanged, version(6, 0)));
        assert_eq!(refused(delete(&mut feed, &record, 5).await), outdated());
        assert_eq!(refused(put(&mut feed, record.clone(), 5).await), outdated());
        assert_eq!(refused(put(&mut feed, record.clone(), 6).await), conflict());
        assert_eq!(delete(&mut feed, &record, 7).await.unwrap(), (Changed, version(7, 0)));
        assert_eq!(
            put(&mut feed, record.clone(), 8).await.unwrap(),
            (Changed, version(8, 0))
        );
        assert_eq!(get(&mut feed, &record).await, (Some(record), version(8, 0), false));
    }
}

on_both!(a_deletion_may_come_before_the_record);
async fn a_deletion_may_come_before_the_record(column: Column) {
    use WriteOutcome::{Added, Changed, Unchanged};
    let service = Service::start(column, "delete_first").await;
    for record in one_of_each() {
        let mut feed = match record {
            Record::Organization(_) => service.feed("org"),
            _ => service.with_location("others").await,
        };
        assert_eq!(delete(&mut feed, &record, 5).await.unwrap(), (Added, version(5, 0)));
        assert_eq!(
            get(&mut feed, &record).await,
            (Some(id_alone(&record)), version(5, 0), true)
        );
        assert_eq!(delete(&mut feed, &record, 5).await.unwrap(), (Unchanged, version(5, 0)));
        assert_eq!(refused(put(&mut feed, record.clone(), 4).await), outdated());
        assert_eq!(refused(put(&mut feed, record.clone(), 5).await), conflict());
        assert_eq!(
            put(&mut feed, record.clone(), 6).await.unwrap(),
            (Changed, version(6, 0))
        );
        assert_eq!(get(&mut feed, &record).await, (Some(record), version(6, 0), false));
    }
}

/// A record of this version, of a kind: the content tells the version.
fn at_version(kind: usize, id: &str, version: i64) -> Record {
    let name = format!("Version {version}");
    match kind {
        0 => Record::Location(Location { name, ..location(id) }),
        1 => Record::Staff(carepost_proto::eligibility::v1::Staff { name, ..staff(id) }),
        2 => Record::Chart(carepost_proto::eligibility::v1::Chart {
            patient_name: name,
            ..chart(id, "l1")
        }),
        _ => Record::PortalUser(carepost_proto::eligibility::v1::PortalUser {
            name,
            ..portal_user(id, "c1")
        }),
    }
}

on_both!(any_order_and_repetition_ends_in_the_state_of_the_highest_version);
async fn any_order_and_repetition_ends_in_the_state_of_the_highest_version(column: Column) {
    let service = Service::start(column, "any_order").await;
    let feed = service.with_location("org").await;
    let histories = (
        0..4_usize,
        prop::collection::vec(any::<bool>(), 1..8),
        prop::collection::vec(any::<prop::sample::Index>(), 0..24),
        any::<prop::sample::Index>(),
        any::<bool>(),
    );
    let mut runner = TestRunner::deterministic();
    for case in 0..60 {
        let history = histories.new_tree(&mut runner).unwrap().current();
        let (kind, deletions, order, last, at_once) = history.clone();
        let id = format!("r{case}");
        let events: Vec<_> = (1..).zip(deletions).collect();
        let highest = *events.last().unwrap();
        let mut come: Vec<(i64, bool)> = order.iter().map(|place| *place.get(&events)).collect();
        come.insert(last.index(come.len() + 1), highest);
        let writes = come.into_iter().map(|(version, is_deletion)| {
            let (mut feed, record) = (feed.clone(), at_version(kind, &id, version));
            async move {
                let answer = if is_deletion {
                    delete(&mut feed, &record, version).await
                } else {
                    put(&mut feed, record, version).await
                };
                if let Err(status) = answer {
                    assert_eq!(reason(&status), "VERSION_OUTDATED", "{status}");
                }
            }
        });
        if at_once {
            futures::future::join_all(writes).await;
        } else {
            for write in writes {
                write.await;
            }
        }
        let record = at_version(kind, &id, highest.0);
        let (got, stored, deleted) = get(&mut feed.clone(), &record).await;
        assert_eq!((stored, deleted), (version(highest.0, 0), highest.1), "{history:?}");
        if !deleted {
            assert_eq!(got, Some(record), "{history:?}");
        }
    }
}

async fn reasons(ask: &mut Asking, parties: Parties) -> Vec<String> {
    let question = Question {
        action: Action::Start.into(),
        parties: Some(parties),
    };
    let request = CheckEligibilityRequest {
        question: Some(question),
    };
    let decision = ask
        .check_eligibility(request)
        .await
        .unwrap()
        .into_inner()
        .decision
        .unwrap();
    let reasons = decision.denials.iter().map(|denial| {
        let name = denial.reason().as_str_name();
        name.trim_start_matches("ELIGIBILITY_REASON_").to_owned()
    });
    reasons.collect()
}

fn portal(staff: &str, user: &str, chart: &str) -> Parties {
    Parties::Portal(PortalParties {
        staff_id: staff.to_owned(),
        portal_user_id: user.to_owned(),
        chart_id: chart.to_owned(),
        sent_by_portal_user: false,
    })
}

fn among_staff(sender: &str, recipient: &str) -> Parties {
    Parties::Staff(StaffParties {
        sender_id: sender.to_owned(),
        recipient_ids: vec![recipient.to_owned()],
        chart_id: None,
    })
}

on_both!(what_is_deleted_decides_as_unknown_inactive_and_disabled);
async fn what_is_deleted_decides_as_unknown_inactive_and_disabled(column: Column) {
    let service = Service::start(column, "decides").await;
    let mut feed = service.with_location("org").await;
    let mut ask = service.ask("org");
    let seed = crate::import::setting(None, true, carepost_proto::eligibility::v1::Audience::CareTeamOnly);
    service.import("org", crate::sample::unversioned([seed])).await;
    let records = ["s1", "s2"].map(|id| Record::Staff(staff(id)));
    let records = records.into_iter().chain([
        Record::Chart(chart("c1", "l1")),
        Record::PortalUser(portal_user("u1", "c1")),
    ]);
    for record in records {
        put(&mut feed, record, 1).await.unwrap();
    }
    assert_eq!(reasons(&mut ask, portal("s1", "u1", "c1")).await, [""; 0]);
    assert_eq!(reasons(&mut ask, among_staff("s1", "s2")).await, [""; 0]);
    // Never there, as if they had been.
    for never in ["s8", "u8", "c8"] {
        let record = match never {
            "s8" => Record::Staff(staff(never)),
            "u8" => Record::PortalUser(portal_user(never, "c1")),
            _ => Record::Chart(chart(never, "l1")),
        };
        delete(&mut feed, &record, 1).await.unwrap();
    }
    assert_eq!(reasons(&mut ask, portal("s1", "u1", "c8")).await, ["UNKNOWN_CHART"]);
    assert_eq!(reasons(&mut ask, among_staff("s1", "s8")).await, ["RECIPIENT_INACTIVE"]);
    let told = reasons(&mut ask, portal("s1", "u8", "c1")).await;
    assert_eq!(told, ["PORTAL_ACCOUNT_NOT_ACTIVE", "PORTAL_USER_NOT_CONNECTED"]);

    delete(&mut feed, &Record::Staff(staff("s2")), 2).await.unwrap();
    assert_eq!(reasons(&mut ask, among_staff("s1", "s2")).await, ["RECIPIENT_INACTIVE"]);
    assert_eq!(reasons(&mut ask, among_staff("s2", "s1")).await, ["STAFF_INACTIVE"]);
    delete(&mut feed, &Record::PortalUser(portal_user("u1", "c1")), 2)
        .await
        .unwrap();
    let told = reasons(&mut ask, portal("s1", "u1", "c1")).await;
    assert_eq!(told, ["PORTAL_ACCOUNT_NOT_ACTIVE"]);
    for user in ["u1", "u8"] {
        let request = GetEmailRecipientRequest {
            portal_user_id: user.to_owned(),
            ..GetEmailRecipientRequest::default()
        };
        let answer = ask.get_email_recipient(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), AccountStatus::Disabled);
    }
    delete(&mut feed, &Record::Staff(staff("s1")), 2).await.unwrap();
    delete(&mut feed, &Record::Chart(chart("c1", "l1")), 2).await.unwrap();
    assert_eq!(reasons(&mut ask, portal("s1", "u1", "c1")).await, ["UNKNOWN_CHART"]);
    put(&mut feed, Record::Chart(chart("c1", "l1")), 3).await.unwrap();
    let told = reasons(&mut ask, portal("s1", "u1", "c1")).await;
    assert_eq!(told, ["STAFF_INACTIVE", "PORTAL_ACCOUNT_NOT_ACTIVE"]);
}

fn referrers(status: &Status) -> String {
    assert_eq!(
        (status.code(), reason(status).as_str()),
        (Code::FailedPrecondition, "STILL_REFERRED")
    );
    status.get_error_details().error_info().unwrap().metadata["referrers"].clone()
}

on_both!(what_is_referred_to_cannot_go_and_what_is_gone_cannot_be_referred_to);
async fn what_is_referred_to_cannot_go_and_what_is_gone_cannot_be_referred_to(column: Column) {
    let service = Service::start(column, "referred").await;
    let mut feed = service.with_location("org").await;
    let (org, place) = (
        Record::Organization(organization("org")),
        Record::Location(location("l1")),
    );
    let records = [
        Record::Chart(chart("c1", "l1")),
        Record::Staff(staff("s1")),
        Record::PortalUser(portal_user("u1", "c1")),
    ];
    for record in records.clone() {
        put(&mut feed, record, 1).await.unwrap();
    }
    assert_eq!(referrers(&delete(&mut feed, &place, 2).await.unwrap_err()), "chart");
    let all = "location,staff,chart,portal_user";
    assert_eq!(referrers(&delete(&mut feed, &org, 2).await.unwrap_err()), all);
    assert_eq!(
        get(&mut feed, &place).await,
        (Some(place.clone()), version(1, 0), false)
    );

    for record in &records {
        delete(&mut feed, record, 2).await.unwrap();
    }
    assert_eq!(referrers(&delete(&mut feed, &org, 2).await.unwrap_err()), "location");
    delete(&mut feed, &place, 2).await.unwrap();
    let lost = put(&mut feed, records[0].clone(), 3).await.unwrap_err();
    let details = lost.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["missing"], "location");
    delete(&mut feed, &org, 2).await.unwrap();
    for record in records.iter().chain([&place]) {
        assert_eq!(refused(put(&mut feed, record.clone(), 3).await), missing());
        assert_eq!(refused(delete(&mut feed, record, 3).await), missing());
        let again = delete(&mut feed, record, 2).await.unwrap();
        assert_eq!(again, (WriteOutcome::Unchanged, version(2, 0)));
    }
    put(&mut feed, org, 3).await.unwrap();
    put(&mut feed, place, 3).await.unwrap();
    put(&mut feed, records[0].clone(), 3).await.unwrap();
}

on_both!(a_deletion_and_a_record_that_refers_to_it_never_both_succeed);
async fn a_deletion_and_a_record_that_refers_to_it_never_both_succeed(column: Column) {
    let service = Service::start(column, "referred_race").await;
    let feed = service.with_location("org").await;
    let (mut both_ways, rounds) = ([0, 0], 40);
    for round in 0..rounds {
        let place = Record::Location(location(&format!("race{round}")));
        put(&mut feed.clone(), place.clone(), 1).await.unwrap();
        let record = Record::Chart(chart(&format!("c{round}"), &format!("race{round}")));
        let (mut one, mut other) = (feed.clone(), feed.clone());
        let (deleted, written) = if round % 2 == 0 {
            tokio::join!(delete(&mut one, &place, 2), put(&mut other, record, 1))
        } else {
            let (written, deleted) = tokio::join!(put(&mut other, record, 1), delete(&mut one, &place, 2));
            (deleted, written)
        };
        match (deleted, written) {
            (Ok(_), Err(lost)) => {
                assert_eq!(reason(&lost), "REFERENCE_MISSING");
                both_ways[0] += 1;
            }
            (Err(kept), Ok(_)) => {
                assert_eq!(referrers(&kept), "chart");
                both_ways[1] += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(both_ways.iter().sum::<i32>(), rounds);
}

on_both!(an_organization_and_a_record_of_it_never_both_come_and_go);
async fn an_organization_and_a_record_of_it_never_both_come_and_go(column: Column) {
    let service = Service::start(column, "organization_race").await;
    for round in 0..20 {
        let id = format!("org{round}");
        let mut feed = service.feed(&id);
        let org = Record::Organization(organization(&id));
        put(&mut feed, org.clone(), 1).await.unwrap();
        let (mut one, mut other) = (feed.clone(), feed.clone());
        let (deleted, written) = tokio::join!(
            delete(&mut one, &org, 2),
            put(&mut other, Record::Staff(staff("s1")), 1)
        );
        match (deleted, written) {
            (Ok(_), Err(lost)) => assert_eq!(reason(&lost), "REFERENCE_MISSING"),
            (Err(kept), Ok(_)) => assert_eq!(referrers(&kept), "staff"),
            other => panic!("{other:?}"),
        }
    }
}

on_both!(a_deletion_names_what_and_which_version);
async fn a_deletion_names_what_and_which_version(column: Column) {
    let service = Service::start(column, "delete_fields").await;
    let mut feed = service.with_location("org").await;
    let wrong = Record::Staff(carepost_proto::eligibility::v1::Staff {
        id: "with space".to_owned(),
        ..staff("s1")
    });
    let status = delete(&mut feed, &wrong, 0).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(crate::support::wrong_fields(&status), ["staff_id", "version"]);
}
