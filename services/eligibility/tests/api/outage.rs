//! What is answered while the database is down, and when the process stops.

use std::time::Duration;

use carepost_proto::eligibility::v1::{
    GetEmailRecipientRequest, GetOrganizationRequest, ImportDirectoryRequest, PutLocationRequest,
    import_directory_request::Record,
};
use carepost_testkit::servers::{Parts, Servers};
use futures::{SinkExt, channel::mpsc};
use tokio::time::Instant;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Service, location, organization, reason};

async fn ask(service: &Service) -> Status {
    let request = GetEmailRecipientRequest {
        portal_user_id: "nobody".to_owned(),
        ..GetEmailRecipientRequest::default()
    };
    service.ask("org").get_email_recipient(request).await.unwrap_err()
}

#[tokio::test]
async fn while_the_database_is_down_nobody_is_told_that_anything_is_not_there() {
    let servers = Servers::private_parts("eligibility", Parts::Postgres).await;
    let service = Service::start_on(&servers, "outage").await;
    let mut feed = service.with_location("org").await;
    assert_eq!(ask(&service).await.code(), Code::NotFound);

    servers.stop_postgres().await;
    let put = PutLocationRequest {
        location: Some(location("l2")),
        version: 1,
    };
    for refused in [ask(&service).await, feed.put_location(put.clone()).await.unwrap_err()] {
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "DEPENDENCY_UNAVAILABLE")
        );
        let details = refused.get_error_details();
        assert_eq!(details.error_info().unwrap().metadata["dependency"], "database");
        assert!(details.retry_info().is_some_and(|info| info.retry_delay.is_some()));
    }

    servers.start_postgres().await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while let Err(status) = feed.put_location(put.clone()).await {
        assert!(
            status.code() == Code::Unavailable && Instant::now() < deadline,
            "{status}"
        );
    }
}

#[tokio::test]
async fn an_import_under_way_ends_when_the_process_stops() {
    let service = Service::start(crate::support::Column::Real, "import_stop").await;
    let of = |record| ImportDirectoryRequest {
        version: 0,
        record: Some(record),
    };
    let (mut sender, stream) = mpsc::channel(1);
    let mut feed = service.feed("org");
    let import = tokio::spawn(async move { feed.import_directory(stream).await });
    // An organization ends the group before it, which is then written: so the import has begun when it is there.
    for _ in 0..2 {
        sender
            .send(of(Record::Organization(organization("org"))))
            .await
            .unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut feed = service.feed("org");
    while feed.get_organization(GetOrganizationRequest {}).await.is_err() {
        assert!(Instant::now() < deadline, "the first group is never written");
    }
    service.stop();
    let refused = import.await.unwrap().unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable, "{refused}");
}
