//! What a caller cannot take from others.

use std::time::Instant;

use bytes::Bytes;
use carepost_proto::messaging::v1::GetUnreadCountRequest;
use carepost_suite::{Plan, Suite, process::Service, wait::LONG};
use carepost_testkit::Servers;
use http::Request;
use sea_orm::{ConnectionTrait, Database, TransactionTrait};
use tokio::net::TcpStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

const CALLS: u32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn who_calls_too_often_is_told_when_to_come_back_and_nobody_else_is() {
    let plan = Plan {
        person_calls: Some(CALLS),
        ..Plan::default()
    };
    let suite = Suite::start_on(Servers::ensure().await, "limits", plan).await;
    let (mut eager, mut calm) = (suite.person("prairie", "staff/1"), suite.person("prairie", "staff/2"));
    let mut relayed = suite.person_by_emr("prairie", "staff/1");
    let refused = loop {
        if let Err(refused) = eager.get_unread_count(GetUnreadCountRequest {}).await {
            break refused;
        }
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "RATE_LIMITED");
    let wait = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!(wait.as_secs_f64() <= 1.0 / f64::from(CALLS), "{wait:?}");
    // The bucket is the person's, whoever relays them; and theirs alone.
    let mut taken = 0;
    while relayed.get_unread_count(GetUnreadCountRequest {}).await.is_ok() {
        taken += 1;
        assert!(taken < 10_000, "the relay has a bucket of its own");
    }
    calm.get_unread_count(GetUnreadCountRequest {}).await.unwrap();
}

/// Asks for the badge, and leaves the deadline to the server: a client of gRPC would give up by itself at the same moment.
async fn badge_within(suite: &Suite, timeout: &str) -> Status {
    let stream = TcpStream::connect(suite.address(Service::Messaging)).await.unwrap();
    let (send, connection) = h2::client::handshake(stream).await.unwrap();
    let connection = tokio::spawn(connection);
    let token = suite.people.person("prairie", "staff/1");
    let request = Request::post("http://carepost/carepost.messaging.v1.MessagingService/GetUnreadCount")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {token}"))
        .header("grpc-timeout", timeout);
    let mut send = send.ready().await.unwrap();
    let (answer, mut body) = send.send_request(request.body(()).unwrap(), false).unwrap();
    body.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    let answer = tokio::time::timeout(LONG, answer).await.unwrap().unwrap();
    connection.abort();
    // A good answer has its status after the message.
    Status::from_header_map(answer.headers()).unwrap_or_else(|| Status::ok(""))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_ends_at_its_deadline_whatever_it_waits_for() {
    let suite = Suite::start("deadlines").await;
    let url = suite.servers.postgres_url(suite.database(Service::Messaging));
    let database = Database::connect(url).await.unwrap();
    let locked = database.begin().await.unwrap();
    let lock = "LOCK TABLE mailbox IN ACCESS EXCLUSIVE MODE";
    locked.execute_unprepared(lock).await.unwrap();

    let begun = Instant::now();
    let refused = badge_within(&suite, "400m").await;
    let took = begun.elapsed();
    assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused:?}");
    assert_eq!(refused.get_details_error_info().unwrap().reason, "DEADLINE_EXCEEDED");
    // The database gives up after 5 s.
    assert!((0.4..4.0).contains(&took.as_secs_f64()), "{took:?}");

    locked.rollback().await.unwrap();
    assert_eq!(badge_within(&suite, "10S").await.code(), Code::Ok);
}
