//! Brands (S3): what holds where, and in emails.

use carepost_proto::eligibility::v1::{
    AccountStatus, Brand, Chart, GetBrandRequest, GetEmailRecipientRequest, ImportDirectoryRequest, PortalUser,
    import_directory_request::Record,
};

use crate::{
    administration::{ADMIN, administered, brand, set_brand},
    support::{Column, Service, on_both, organization},
};

on_both!(a_brand_falls_back_to_the_organizations_and_then_to_its_record);
async fn a_brand_falls_back_to_the_organizations_and_then_to_its_record(column: Column) {
    let service = Service::start(column, "brand_fallbacks").await;
    administered(&service).await;
    let mut client = service.administer_as("org", ADMIN);
    let record = organization("org");
    let mut effective = async |place: Option<&str>| {
        let location_id = place.map(str::to_owned);
        let answer = client
            .get_brand(GetBrandRequest { location_id })
            .await
            .unwrap()
            .into_inner();
        (answer.brand, answer.effective.unwrap())
    };
    let plain = Brand {
        name: record.name,
        locale: record.locale,
        portal_url: record.portal_url,
        ..Brand::default()
    };
    assert_eq!(effective(None).await, (None, plain.clone()));
    assert_eq!(effective(Some("l1")).await, (None, plain.clone()));

    let general = Brand {
        locale: "fr".to_owned(),
        neutral: true,
        ..brand("Care")
    };
    let own = Brand {
        portal_url: "https://one.example.org/inbox".to_owned(),
        ..brand("Clinic One")
    };
    let mut writing = service.administer_as("org", ADMIN);
    set_brand(&mut writing, None, Some(general.clone())).await;
    set_brand(&mut writing, Some("l1"), Some(own.clone())).await;
    let of_all = Brand {
        portal_url: plain.portal_url,
        ..general.clone()
    };
    assert_eq!(effective(None).await, (Some(general), of_all.clone()));
    let of_one = Brand {
        locale: "fr".to_owned(),
        neutral: true,
        ..own.clone()
    };
    assert_eq!(effective(Some("l1")).await, (Some(own), of_one));
    set_brand(&mut writing, Some("l1"), None).await;
    assert_eq!(effective(Some("l1")).await, (None, of_all));
}

on_both!(an_email_has_the_brand_that_holds_at_the_charts_location);
async fn an_email_has_the_brand_that_holds_at_the_charts_location(column: Column) {
    let service = Service::start(column, "email_brands").await;
    administered(&service).await;
    let user = |id: &str, locale: &str| {
        Record::PortalUser(PortalUser {
            id: id.to_owned(),
            name: "Una".to_owned(),
            email: "una@example.org".to_owned(),
            status: AccountStatus::Active.into(),
            locale: locale.to_owned(),
            ..PortalUser::default()
        })
    };
    let chart = Record::Chart(Chart {
        id: "c1".to_owned(),
        patient_id: "p1".to_owned(),
        patient_name: "Pat".to_owned(),
        location_id: "l1".to_owned(),
        ..Chart::default()
    });
    let requests = [user("reads", "de"), user("any", ""), chart].map(|record| ImportDirectoryRequest {
        version: 0,
        record: Some(record),
    });
    assert_eq!(service.import("org", requests.into()).await.refused, 0);
    let mut client = service.administer("org");
    let own = Brand {
        locale: "fr".to_owned(),
        portal_url: "https://one.example.org/inbox".to_owned(),
        ..brand("Clinic One")
    };
    set_brand(&mut client, Some("l1"), Some(own)).await;
    for (place, chart) in [(Some("l1"), Some("c1")), (None, None), (None, Some("unknown"))] {
        let location_id = place.map(str::to_owned);
        let holds = client
            .get_brand(GetBrandRequest { location_id })
            .await
            .unwrap()
            .into_inner();
        let holds = holds.effective.unwrap();
        for (user, locale) in [("reads", "de"), ("any", holds.locale.as_str())] {
            let request = GetEmailRecipientRequest {
                portal_user_id: user.to_owned(),
                chart_id: chart.map(str::to_owned),
                ..Default::default()
            };
            let told = service
                .ask("org")
                .get_email_recipient(request)
                .await
                .unwrap()
                .into_inner();
            assert_eq!((told.locale.as_str(), &told.portal_url), (locale, &holds.portal_url));
            assert_eq!(told.brand.as_ref(), Some(&holds));
        }
    }
}
