//! Put and Get (D1): idempotent by version.

use std::collections::BTreeMap;

use carepost_proto::eligibility::v1::{
    AccountStatus, Chart, Connection, ConnectionStatus, GetChartRequest, GetLocationRequest, GetOrganizationRequest,
    GetPortalUserRequest, GetStaffRequest, PortalUser, PutChartRequest, PutLocationRequest, PutOrganizationRequest,
    PutPortalUserRequest, PutStaffRequest, PutStaffResponse, RecordVersion, Relationship, Staff, StaffRecord,
    StaffRole, WriteOutcome,
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Column, Feeding, Service, location, on_both, organization, reason, wrong_fields};

fn staff(name: &str) -> Staff {
    Staff {
        id: "s1".to_owned(),
        name: name.to_owned(),
        email: "s1@example.org".to_owned(),
        active: true,
        roles: vec![
            StaffRole::AvailableForPortalMessages.into(),
            StaffRole::SuperAdmin.into(),
        ],
        all_locations: false,
        location_ids: vec!["l1".to_owned(), "l-to-come".to_owned()],
    }
}

fn chart() -> Chart {
    Chart {
        id: "c1".to_owned(),
        patient_id: "p1".to_owned(),
        patient_name: "Pat Doe".to_owned(),
        location_id: "l1".to_owned(),
        care_team_ids: vec!["s1".to_owned(), "s2".to_owned()],
        barred_staff_ids: vec!["s2".to_owned(), "s3".to_owned()],
        url: "https://emr.example.org/charts/1".to_owned(),
    }
}

fn portal_user() -> PortalUser {
    PortalUser {
        id: "u1".to_owned(),
        name: "Una Doe".to_owned(),
        email: "una@example.org".to_owned(),
        status: AccountStatus::Active.into(),
        connections: vec![Connection {
            chart_id: "c1".to_owned(),
            relationship: Relationship::Self_.into(),
            status: ConnectionStatus::Revoked.into(),
        }],
        locale: "en-AU".to_owned(),
    }
}

async fn put_staff(feed: &mut Feeding, staff: Staff, version: i64) -> Result<PutStaffResponse, Status> {
    let request = PutStaffRequest {
        staff: Some(staff),
        version,
    };
    feed.put_staff(request).await.map(tonic::Response::into_inner)
}

async fn got_staff(feed: &mut Feeding) -> StaffRecord {
    let staff_id = "s1".to_owned();
    let got = feed.get_staff(GetStaffRequest { staff_id }).await.unwrap();
    got.into_inner().record.unwrap()
}

fn stored(emr_version: i64) -> Option<RecordVersion> {
    Some(RecordVersion {
        emr_version,
        import_counter: 0,
    })
}

on_both!(what_is_put_is_got);
async fn what_is_put_is_got(column: Column) {
    let service = Service::start(column, "records").await;
    let mut feed = service.with_location("org").await;
    put_staff(&mut feed, staff("Ann"), 7).await.unwrap();
    let (chart, user) = (Some(chart()), Some(portal_user()));
    feed.put_chart(PutChartRequest { chart, version: 2 }).await.unwrap();
    feed.put_portal_user(PutPortalUserRequest {
        portal_user: user,
        version: 3,
    })
    .await
    .unwrap();

    let got = feed.get_organization(GetOrganizationRequest {}).await.unwrap();
    let got = got.into_inner().record.unwrap();
    assert_eq!((got.organization, got.version), (Some(organization("org")), stored(1)));
    let location_id = "l1".to_owned();
    let got = feed.get_location(GetLocationRequest { location_id }).await.unwrap();
    let got = got.into_inner().record.unwrap();
    assert_eq!((got.location, got.version), (Some(location("l1")), stored(1)));
    let mut got = got_staff(&mut feed).await;
    got.staff.as_mut().unwrap().location_ids.reverse();
    assert_eq!((got.staff, got.version), (Some(staff("Ann")), stored(7)));
    let chart_id = "c1".to_owned();
    let got = feed.get_chart(GetChartRequest { chart_id }).await.unwrap();
    let got = got.into_inner().record.unwrap();
    assert_eq!((got.chart, got.version), (Some(self::chart()), stored(2)));
    let portal_user_id = "u1".to_owned();
    let got = feed
        .get_portal_user(GetPortalUserRequest { portal_user_id })
        .await
        .unwrap();
    let got = got.into_inner().record.unwrap();
    assert_eq!((got.portal_user, got.version), (Some(portal_user()), stored(3)));
}

on_both!(a_put_is_decided_by_its_version);
async fn a_put_is_decided_by_its_version(column: Column) {
    let service = Service::start(column, "versions").await;
    let mut feed = service.with_location("org").await;
    let outcome = |answer: Result<PutStaffResponse, Status>| answer.map(|answer| (answer.outcome(), answer.version));
    let put = put_staff(&mut feed, staff("Ann"), 5).await;
    assert_eq!(outcome(put).unwrap(), (WriteOutcome::Added, stored(5)));
    let mut reordered = staff("Ann");
    reordered.roles.reverse();
    reordered.location_ids.reverse();
    let again = put_staff(&mut feed, reordered, 5).await;
    assert_eq!(outcome(again).unwrap(), (WriteOutcome::Unchanged, stored(5)));

    let conflict = put_staff(&mut feed, staff("Bea"), 5).await.unwrap_err();
    assert_eq!(
        (conflict.code(), reason(&conflict).as_str()),
        (Code::Aborted, "VERSION_CONFLICT")
    );
    let details = conflict.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["stored_version"], "5");
    let outdated = put_staff(&mut feed, staff("Ann"), 4).await.unwrap_err();
    assert_eq!(
        (outdated.code(), reason(&outdated).as_str()),
        (Code::FailedPrecondition, "VERSION_OUTDATED")
    );

    let higher = put_staff(&mut feed, staff("Cleo"), 6).await;
    assert_eq!(outcome(higher).unwrap(), (WriteOutcome::Changed, stored(6)));
    let got = got_staff(&mut feed).await;
    assert_eq!(got.staff.unwrap().name, "Cleo");
}

on_both!(a_put_replaces_the_lists_whole);
async fn a_put_replaces_the_lists_whole(column: Column) {
    let service = Service::start(column, "lists_whole").await;
    let mut feed = service.with_location("org").await;
    put_staff(&mut feed, staff("Ann"), 1).await.unwrap();
    let bare = Staff {
        roles: vec![],
        location_ids: vec![],
        ..staff("Ann")
    };
    put_staff(&mut feed, bare.clone(), 2).await.unwrap();
    let got = got_staff(&mut feed).await;
    assert_eq!(got.staff, Some(bare));
}

on_both!(many_at_once_put_the_same_new_record);
async fn many_at_once_put_the_same_new_record(column: Column) {
    let service = Service::start(column, "concurrent").await;
    let feed = service.with_location("org").await;
    let puts = (0..32).map(|_| {
        let mut feed = feed.clone();
        async move { put_staff(&mut feed, staff("Ann"), 1).await.unwrap().outcome() }
    });
    let mut outcomes = BTreeMap::new();
    for outcome in futures::future::join_all(puts).await {
        *outcomes.entry(outcome as i32).or_insert(0) += 1;
    }
    let expected = BTreeMap::from([(WriteOutcome::Added as i32, 1), (WriteOutcome::Unchanged as i32, 31)]);
    assert_eq!(outcomes, expected);
}

on_both!(many_at_once_put_versions_in_any_order_and_the_newest_stays);
async fn many_at_once_put_versions_in_any_order_and_the_newest_stays(column: Column) {
    let service = Service::start(column, "any_order").await;
    let feed = service.with_location("org").await;
    let puts = (1..=32).map(|version| {
        let mut feed = feed.clone();
        async move { put_staff(&mut feed, staff(&format!("Name {version}")), version).await }
    });
    for put in futures::future::join_all(puts).await {
        if let Err(status) = put {
            assert_eq!(reason(&status), "VERSION_OUTDATED", "{status}");
        }
    }
    let got = got_staff(&mut feed.clone()).await;
    assert_eq!((got.staff.unwrap().name.as_str(), got.version), ("Name 32", stored(32)));
}

on_both!(a_record_needs_its_organization_and_a_chart_its_location);
async fn a_record_needs_its_organization_and_a_chart_its_location(column: Column) {
    let service = Service::start(column, "references").await;
    let nobody = put_staff(&mut service.feed("nowhere"), staff("Ann"), 1)
        .await
        .unwrap_err();
    assert_eq!(
        (nobody.code(), reason(&nobody).as_str()),
        (Code::FailedPrecondition, "REFERENCE_MISSING")
    );
    assert_eq!(
        nobody.get_error_details().error_info().unwrap().metadata["missing"],
        "organization"
    );

    let mut feed = service.with_location("org").await;
    let lost = Chart {
        location_id: "l2".to_owned(),
        ..chart()
    };
    let request = PutChartRequest {
        chart: Some(lost),
        version: 1,
    };
    let lost = feed.put_chart(request).await.unwrap_err();
    assert_eq!(
        (lost.code(), reason(&lost).as_str()),
        (Code::FailedPrecondition, "REFERENCE_MISSING")
    );
    assert_eq!(
        lost.get_error_details().error_info().unwrap().metadata["missing"],
        "location"
    );
    let chart_id = "c1".to_owned();
    let absent = feed.get_chart(GetChartRequest { chart_id }).await.unwrap_err();
    assert_eq!((absent.code(), reason(&absent).as_str()), (Code::NotFound, "NOT_FOUND"));
}

on_both!(the_organization_of_the_call_and_no_other);
async fn the_organization_of_the_call_and_no_other(column: Column) {
    let service = Service::start(column, "foreign").await;
    let foreign = PutOrganizationRequest {
        organization: Some(organization("other")),
        version: 1,
    };
    let refused = service.feed("org").put_organization(foreign).await.unwrap_err();
    assert_eq!(
        (refused.code(), wrong_fields(&refused)),
        (Code::InvalidArgument, vec!["organization.id".to_owned()])
    );
    let mut feed = service.with_location("org").await;
    put_staff(&mut feed, staff("Ann"), 1).await.unwrap();
    let staff_id = "s1".to_owned();
    let elsewhere = service
        .feed("other")
        .get_staff(GetStaffRequest { staff_id })
        .await
        .unwrap_err();
    assert_eq!(elsewhere.code(), Code::NotFound);
}

on_both!(wrong_fields_are_named_all_at_once_and_never_repeated);
async fn wrong_fields_are_named_all_at_once_and_never_repeated(column: Column) {
    let service = Service::start(column, "fields").await;
    let mut feed = service.with_location("org").await;
    let wrong = Staff {
        id: "with space".to_owned(),
        name: "two\nlines".to_owned(),
        email: "secret at example".to_owned(),
        roles: vec![1, 1, 99],
        location_ids: vec!["l1".to_owned(), "l1".to_owned()],
        ..staff("Ann")
    };
    let refused = put_staff(&mut feed, wrong, 0).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::InvalidArgument, "INVALID_REQUEST")
    );
    let fields =
        ["id", "name", "email", "roles[1]", "roles[2]", "location_ids[1]"].map(|field| format!("staff.{field}"));
    let fields: Vec<_> = fields.into_iter().chain(["version".to_owned()]).collect();
    assert_eq!(wrong_fields(&refused), fields);
    let told = format!("{:?}", refused.get_error_details());
    assert!(!told.contains("secret") && !told.contains("two"), "{told}");

    let inbox = PortalUser {
        email: String::new(),
        ..portal_user()
    };
    let request = PutPortalUserRequest {
        portal_user: Some(inbox),
        version: 1,
    };
    let refused = feed.put_portal_user(request).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["portal_user.email"]);
    let refused = feed.put_location(PutLocationRequest::default()).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["location", "version"]);
}
