//! GetEmailRecipient: state, address, language and brand.

use carepost_proto::eligibility::v1::{
    AccountStatus, Brand, BrandSeed, Chart, DeleteChartRequest, GetEmailRecipientRequest, GetEmailRecipientResponse,
    ImportDirectoryRequest, PortalUser, Staff, import_directory_request::Record,
};
use tonic::{Code, Status};

use crate::support::{Column, Service, location, on_both, reason, wrong_fields};

fn user(id: &str, status: AccountStatus, locale: &str) -> Record {
    Record::PortalUser(PortalUser {
        id: id.to_owned(),
        name: "Una Doe".to_owned(),
        email: format!("{id}@example.org"),
        status: status.into(),
        connections: vec![],
        locale: locale.to_owned(),
    })
}

fn chart(id: &str, location: &str) -> Record {
    Record::Chart(Chart {
        id: id.to_owned(),
        patient_id: "p1".to_owned(),
        patient_name: "Pat Doe".to_owned(),
        location_id: location.to_owned(),
        ..Chart::default()
    })
}

fn brand(name: &str, neutral: bool) -> Brand {
    Brand {
        name: name.to_owned(),
        logo_url: "https://example.org/logo.png".to_owned(),
        phone: "+61 2 5550 0000".to_owned(),
        neutral,
        locale: "en-AU".to_owned(),
        portal_url: "https://portal.example.org/messages".to_owned(),
    }
}

fn brand_of(location: Option<&str>, brand: Brand) -> Record {
    Record::BrandSeed(BrandSeed {
        location_id: location.map(str::to_owned),
        brand: Some(brand),
    })
}

async fn import(service: &Service, records: Vec<Record>) {
    let requests = records.into_iter().map(|record| ImportDirectoryRequest {
        version: 0,
        record: Some(record),
    });
    assert_eq!(service.import("org", requests.collect()).await.refused, 0);
}

async fn recipient(service: &Service, user: &str, chart: Option<&str>) -> Result<GetEmailRecipientResponse, Status> {
    let request = GetEmailRecipientRequest {
        portal_user_id: user.to_owned(),
        chart_id: chart.map(str::to_owned),
        staff_id: None,
    };
    service
        .ask("org")
        .get_email_recipient(request)
        .await
        .map(tonic::Response::into_inner)
}

on_both!(the_brand_is_the_locations_else_the_organizations_else_its_name);
async fn the_brand_is_the_locations_else_the_organizations_else_its_name(column: Column) {
    let service = Service::start(column, "brands").await;
    service.with_location("org").await;
    let records = vec![
        Record::Location(location("l2")),
        user("u1", AccountStatus::Active, ""),
        chart("c1", "l1"),
        chart("c2", "l2"),
        brand_of(Some("l1"), brand("Clinic One", true)),
    ];
    import(&service, records).await;
    let name = |answer: Result<GetEmailRecipientResponse, Status>| answer.unwrap().brand.unwrap();
    assert_eq!(
        name(recipient(&service, "u1", Some("c1")).await),
        brand("Clinic One", true)
    );
    let plain = Brand {
        name: "Southern Care".to_owned(),
        locale: "en-AU".to_owned(),
        portal_url: "https://portal.example.org/messages".to_owned(),
        ..Brand::default()
    };
    assert_eq!(name(recipient(&service, "u1", Some("c2")).await), plain);
    assert_eq!(name(recipient(&service, "u1", None).await), plain);

    import(&service, vec![brand_of(None, brand("Care", false))]).await;
    assert_eq!(
        name(recipient(&service, "u1", Some("c1")).await),
        brand("Clinic One", true)
    );
    for chart in [Some("c2"), Some("unknown"), None] {
        assert_eq!(name(recipient(&service, "u1", chart).await), brand("Care", false));
    }
}

on_both!(state_address_language_and_portal_are_told);
async fn state_address_language_and_portal_are_told(column: Column) {
    let service = Service::start(column, "recipient").await;
    service.with_location("org").await;
    let records = vec![
        user("u1", AccountStatus::Accepted, "fr"),
        user("u2", AccountStatus::Active, ""),
    ];
    import(&service, records).await;
    let told = recipient(&service, "u1", None).await.unwrap();
    assert_eq!(
        (told.status(), told.email.as_str()),
        (AccountStatus::Accepted, "u1@example.org")
    );
    assert_eq!(
        (told.locale.as_str(), told.portal_url.as_str()),
        ("fr", "https://portal.example.org/messages")
    );
    let told = recipient(&service, "u2", None).await.unwrap();
    assert_eq!((told.status(), told.locale.as_str()), (AccountStatus::Active, "en-AU"));
}

on_both!(who_is_not_there_is_not_found);
async fn who_is_not_there_is_not_found(column: Column) {
    let service = Service::start(column, "no_recipient").await;
    service.with_location("org").await;
    let absent = recipient(&service, "nobody", None).await.unwrap_err();
    assert_eq!((absent.code(), reason(&absent).as_str()), (Code::NotFound, "NOT_FOUND"));
    let wrong = recipient(&service, "", Some("a b")).await.unwrap_err();
    assert_eq!((wrong.code(), wrong_fields(&wrong).len()), (Code::InvalidArgument, 2));
}

async fn staff_recipient(
    service: &Service,
    request: GetEmailRecipientRequest,
) -> Result<GetEmailRecipientResponse, Status> {
    let asked = service.ask("org").get_email_recipient(request).await;
    asked.map(tonic::Response::into_inner)
}

on_both!(n2_staff_have_an_address_and_a_brand_too);
async fn n2_staff_have_an_address_and_a_brand_too(column: Column) {
    let service = Service::start(column, "staff_email").await;
    service.with_location("org").await;
    let staff = |id: &str, email: &str, active: bool| {
        Record::Staff(Staff {
            id: id.to_owned(),
            name: "Dr Doe".to_owned(),
            email: email.to_owned(),
            active,
            ..Staff::default()
        })
    };
    let records = vec![
        staff("s1", "s1@example.org", true),
        staff("s2", "", true),
        staff("s3", "s3@example.org", false),
        // Another person of the same id.
        user("s1", AccountStatus::Invited, "fr"),
        chart("c1", "l1"),
        brand_of(Some("l1"), brand("Clinic One", true)),
    ];
    import(&service, records).await;
    let asked = |id: &str, chart: Option<&str>| GetEmailRecipientRequest {
        staff_id: Some(id.to_owned()),
        chart_id: chart.map(str::to_owned),
        ..GetEmailRecipientRequest::default()
    };
    let told = staff_recipient(&service, asked("s1", Some("c1"))).await.unwrap();
    assert_eq!(
        (told.status(), told.email.as_str(), told.locale.as_str()),
        (AccountStatus::Active, "s1@example.org", "en-AU")
    );
    assert_eq!(told.brand, Some(brand("Clinic One", true)));
    let told = staff_recipient(&service, asked("s2", None)).await.unwrap();
    assert_eq!((told.status(), told.email.as_str()), (AccountStatus::Active, ""));
    let told = staff_recipient(&service, asked("s3", None)).await.unwrap();
    assert_eq!(told.status(), AccountStatus::Disabled);

    let absent = staff_recipient(&service, asked("s4", None)).await.unwrap_err();
    assert_eq!((absent.code(), reason(&absent).as_str()), (Code::NotFound, "NOT_FOUND"));
    let both = GetEmailRecipientRequest {
        portal_user_id: "s1".to_owned(),
        ..asked("s1", None)
    };
    for request in [both, asked("", None)] {
        let wrong = staff_recipient(&service, request).await.unwrap_err();
        assert_eq!(wrong_fields(&wrong), ["staff_id"]);
    }
}

on_both!(n1_a_neutral_clinic_stays_neutral_when_the_chart_is_deleted);
async fn n1_a_neutral_clinic_stays_neutral_when_the_chart_is_deleted(column: Column) {
    let service = Service::start(column, "neutral_outlives").await;
    let mut feed = service.with_location("org").await;
    let records = vec![
        user("u1", AccountStatus::Active, ""),
        chart("c1", "l1"),
        brand_of(None, brand("Care", false)),
        brand_of(Some("l1"), brand("Recovery Clinic", true)),
    ];
    import(&service, records).await;
    // An email that waited is about a chart that is gone by now.
    let request = DeleteChartRequest {
        chart_id: "c1".to_owned(),
        version: 1,
    };
    feed.delete_chart(request).await.unwrap();
    let told = recipient(&service, "u1", Some("c1")).await.unwrap().brand.unwrap();
    assert!(told.neutral);
}
