//! What is referred to cannot be deleted, and what is deleted cannot be referred to (D1), whoever is first.

use carepost_proto::eligibility::v1::{WriteOutcome, import_directory_request::Record};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    deletes::{get, refused},
    sample::{chart, delete, portal_user, put, staff, version},
    support::{Column, Service, location, on_both, organization, reason},
};

fn missing() -> (Code, String) {
    (Code::FailedPrecondition, "REFERENCE_MISSING".to_owned())
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
