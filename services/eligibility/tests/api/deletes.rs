//! Delete (D1): by version, with tombstones.

use carepost_proto::eligibility::v1::{
    Chart, GetChartRequest, GetLocationRequest, GetOrganizationRequest, GetPortalUserRequest, GetStaffRequest,
    Location, Organization, PortalUser, RecordVersion, Staff, WriteOutcome, import_directory_request::Record,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use tonic::{Code, Status};

use crate::{
    sample::{chart, delete, portal_user, put, staff, unversioned, version},
    support::{Column, Feeding, Service, location, on_both, organization, reason, wrong_fields},
};

/// What a Get says: the record, its version, and whether it is deleted.
pub type Got = (Option<Record>, RecordVersion, bool);

pub async fn get(feed: &mut Feeding, record: &Record) -> Got {
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
        Record::Organization(of) => Record::Organization(Organization {
            id: of.id,
            ..Default::default()
        }),
        Record::Location(of) => Record::Location(Location {
            id: of.id,
            ..Default::default()
        }),
        Record::Staff(of) => Record::Staff(Staff {
            id: of.id,
            ..Default::default()
        }),
        Record::Chart(of) => Record::Chart(Chart {
            id: of.id,
            ..Default::default()
        }),
        Record::PortalUser(of) => Record::PortalUser(PortalUser {
            id: of.id,
            ..Default::default()
        }),
        other => panic!("{other:?}"),
    }
}

pub fn refused(answer: Result<(WriteOutcome, RecordVersion), Status>) -> (Code, String) {
    let status = answer.unwrap_err();
    (status.code(), reason(&status))
}

fn conflict() -> (Code, String) {
    (Code::Aborted, "VERSION_CONFLICT".to_owned())
}

fn outdated() -> (Code, String) {
    (Code::FailedPrecondition, "VERSION_OUTDATED".to_owned())
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
        1 => Record::Staff(Staff { name, ..staff(id) }),
        2 => Record::Chart(Chart {
            patient_name: name,
            ..chart(id, "l1")
        }),
        _ => Record::PortalUser(PortalUser {
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

on_both!(a_deletion_names_what_and_which_version);
async fn a_deletion_names_what_and_which_version(column: Column) {
    let service = Service::start(column, "delete_fields").await;
    let mut feed = service.with_location("org").await;
    let wrong = Record::Staff(Staff {
        id: "with space".to_owned(),
        ..staff("s1")
    });
    let status = delete(&mut feed, &wrong, 0).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(wrong_fields(&status), ["staff_id", "version"]);
}

on_both!(d1_a_deletion_that_comes_again_holds_though_an_import_brought_the_record_back);
async fn d1_a_deletion_that_comes_again_holds_though_an_import_brought_the_record_back(column: Column) {
    use WriteOutcome::{Changed, Unchanged};
    let service = Service::start(column, "deleted_again").await;
    let mut feed = service.with_location("org").await;
    for record in one_of_each().into_iter().take(4) {
        put(&mut feed, record.clone(), 5).await.unwrap();
        delete(&mut feed, &record, 6).await.unwrap();
        let answer = service.import("org", unversioned([record.clone()])).await;
        assert_eq!((answer.changed, answer.restored), (1, 1));
        assert!(!get(&mut feed, &record).await.2);
        // The EMR sends its deletion once more.
        assert_eq!(delete(&mut feed, &record, 6).await.unwrap(), (Changed, version(6, 1)));
        assert_eq!(
            get(&mut feed, &record).await,
            (Some(record.clone()), version(6, 1), true)
        );
        assert_eq!(delete(&mut feed, &record, 6).await.unwrap(), (Unchanged, version(6, 1)));
        assert_eq!(refused(put(&mut feed, record.clone(), 5).await), outdated());
    }
}
