//! How a watch is refused, and how it ends.

use std::{net::SocketAddr, time::Duration};

use carepost_proto::messaging::v1::{StartConversationRequest, WatchInboxRequest};
use carepost_runtime::Clock;
use carepost_testkit::{Servers, TcpProxy};
use sea_orm::ConnectionTrait;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
use url::Url;

use super::{OFTEN, PATIENCE, Watch, plan};
use crate::support::{
    Column, GUARDIAN, NURSE, ORGANIZATION, Plan, Service, fields, on_both, portal_start, reason, reply_to, retry_delay,
};

fn metadata(status: &Status, key: &str) -> Option<String> {
    let details = status.get_error_details();
    details.error_info().and_then(|info| info.metadata.get(key).cloned())
}

on_both!(a_position_ahead_of_the_mailbox_is_refused);
async fn a_position_ahead_of_the_mailbox_is_refused(column: Column) {
    let service = Service::start(column, "ahead").await;
    service.start_portal().await;
    let revision = service.mailbox(GUARDIAN).await.revision;
    for position in [revision + 1, i64::MAX, -1, i64::MIN] {
        let refused = Watch::open(service.of(GUARDIAN), Some(position)).await.err().unwrap();
        assert_eq!(
            (refused.code(), reason(&refused), fields(&refused)),
            (
                Code::InvalidArgument,
                "INVALID_REQUEST".to_owned(),
                vec!["after_position".to_owned()]
            )
        );
    }
    Watch::open(service.of(GUARDIAN), Some(revision)).await.unwrap();
}

on_both!(the_eleventh_watch_of_one_person_is_refused);
async fn the_eleventh_watch_of_one_person_is_refused(column: Column) {
    let service = Service::start(column, "eleventh").await;
    let mut watches = Vec::new();
    for _ in 0..10 {
        watches.push(Watch::now(service.of(GUARDIAN)).await);
    }
    let refused = Watch::open(service.of(GUARDIAN), None).await.err().unwrap();
    assert_eq!(
        (refused.code(), reason(&refused), metadata(&refused, "limit")),
        (
            Code::ResourceExhausted,
            "TOO_MANY_WATCHES".to_owned(),
            Some("10".to_owned())
        )
    );
    assert!(retry_delay(&refused).is_some());
    Watch::now(service.of(NURSE)).await;
    // A device that goes makes room.
    watches.pop();
    let end = Instant::now() + PATIENCE;
    while Watch::open(service.of(GUARDIAN), None).await.is_err() {
        assert!(Instant::now() < end, "the place does not come back");
        sleep(Duration::from_millis(20)).await;
    }
}

on_both!(a_process_that_is_full_refuses);
async fn a_process_that_is_full_refuses(column: Column) {
    let service = Service::start_as(column, "full", plan("[watch]\nmax_watches = 2\n")).await;
    let _one = Watch::now(service.of(GUARDIAN)).await;
    let _two = Watch::now(service.of(NURSE)).await;
    let refused = Watch::open(service.of(NURSE), None).await.err().unwrap();
    assert_eq!(
        (refused.code(), reason(&refused)),
        (Code::ResourceExhausted, "OVERLOADED".to_owned())
    );
    assert!(retry_delay(&refused).is_some());
}

on_both!(a_watch_ends_when_the_token_expires);
async fn a_watch_ends_when_the_token_expires(column: Column) {
    let service = Service::start(column, "expiry").await;
    let mut claims = service.issuer.person_claims(ORGANIZATION, GUARDIAN);
    // Half a minute is granted for clocks that differ.
    claims["exp"] = json!(Clock::system().now().timestamp() - 26);
    let mut watch = Watch::now(service.of_token(service.issuer.custom(&claims))).await;
    let end = watch.end().await;
    assert_eq!(
        (end.code(), reason(&end)),
        (Code::Unauthenticated, "TOKEN_EXPIRED".to_owned())
    );
}

on_both!(a_watch_ends_at_the_callers_deadline);
async fn a_watch_ends_at_the_callers_deadline(column: Column) {
    let service = Service::start(column, "deadline").await;
    let mut request = Request::new(WatchInboxRequest::default());
    request.set_timeout(Duration::from_secs(1));
    let mut watch = Watch(service.of(GUARDIAN).watch_inbox(request).await.unwrap().into_inner());
    assert_eq!(watch.end().await.code(), Code::DeadlineExceeded);
}

on_both!(watches_end_in_good_order_when_the_process_stops);
async fn watches_end_in_good_order_when_the_process_stops(column: Column) {
    let service = Service::start(column, "stopping").await;
    let mut watches = Vec::new();
    for person in 0..50 {
        watches.push(Watch::now(service.of(&format!("staff/{person}"))).await);
    }
    let begun = Instant::now();
    let (stopped, ends) = tokio::join!(
        service.stop(),
        futures::future::join_all(watches.iter_mut().map(Watch::end))
    );
    assert_eq!(stopped, Ok(()));
    assert!(begun.elapsed() < Duration::from_secs(9), "nobody had to cut them");
    for end in ends {
        assert_eq!(
            (end.code(), reason(&end)),
            (Code::Unavailable, "DEPENDENCY_UNAVAILABLE".to_owned())
        );
        assert!(retry_delay(&end).is_some());
    }
}

/// More to tell than what a client has room for that does not read.
async fn a_lot(service: &Service) -> i64 {
    for _ in 0..30 {
        let request = StartConversationRequest {
            recipients: (0..50)
                .map(|number| format!("staff/{}-{number}", "x".repeat(40)))
                .collect(),
            chart_id: None,
            subject: "ü".repeat(200),
            ..portal_start()
        };
        service.of(NURSE).start_conversation(request).await.unwrap();
    }
    service.mailbox(NURSE).await.revision
}

on_both!(a_slow_reader_is_cut_off_and_can_resume);
async fn a_slow_reader_is_cut_off_and_can_resume(column: Column) {
    let service = Service::start_as(column, "slow", plan("[watch]\nreader_patience_ms = 100\n")).await;
    let last = a_lot(&service).await;
    // What is waited for cannot be seen without reading: each time it is longer.
    let mut position = 0;
    for seconds in [1, 2, 4, 8, 16] {
        let (mut watch, _) = Watch::open(service.of_alone(NURSE), Some(0)).await.unwrap();
        sleep(Duration::from_secs(seconds)).await;
        position = 0;
        let end = loop {
            match watch.next().await {
                Ok(told) if told.position < last => position = told.position,
                Ok(_) => break None,
                Err(end) => break Some(end),
            }
        };
        if let Some(end) = end {
            assert_eq!(
                (end.code(), reason(&end)),
                (Code::ResourceExhausted, "SLOW_READER".to_owned())
            );
            assert!(retry_delay(&end).is_some());
            break;
        }
        assert!(seconds < 16, "it is never cut off");
    }
    assert!(position > 0, "what was sent before is there");
    let (mut watch, _) = Watch::open(service.of(NURSE), Some(position)).await.unwrap();
    let rest = watch.changed_up_to(last).await;
    assert_eq!(i64::try_from(rest.len()).unwrap(), last - position);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_database_a_watch_says_so() {
    let url: Url = Servers::ensure().await.postgres_url("postgres").parse().unwrap();
    let database = SocketAddr::from(([127, 0, 0, 1], url.port().unwrap()));
    let way = TcpProxy::start(database).await;
    let plan = Plan {
        database: Some(way.address()),
        ..plan(OFTEN)
    };
    let service = Service::start_as(Column::Real, "blind", plan).await;
    let id = service.start_portal().await.conversation_id;
    let other = service
        .another_with(&[(&way.address().to_string(), &database.to_string())])
        .await;
    let mut idle = Watch::now(service.of("staff/idle")).await;
    let mut busy = Watch::now(service.of(GUARDIAN)).await;
    way.cut().await;
    service.of_at(&other, NURSE).reply(reply_to(&id)).await.unwrap();
    let refused = Watch::open(service.of(NURSE), None).await.err().unwrap();
    for end in [busy.end().await, idle.end().await, refused] {
        assert_eq!(
            (end.code(), reason(&end)),
            (Code::Unavailable, "DEPENDENCY_UNAVAILABLE".to_owned())
        );
        assert_eq!(metadata(&end, "dependency").as_deref(), Some("database"));
        assert!(retry_delay(&end).is_some());
    }
    way.heal().await;
    let end = Instant::now() + PATIENCE;
    while Watch::open(service.of(GUARDIAN), None).await.is_err() {
        assert!(Instant::now() < end, "it does not recover");
        sleep(Duration::from_millis(50)).await;
    }
}

on_both!(a_watch_ends_when_the_database_was_put_back_to_an_older_state);
async fn a_watch_ends_when_the_database_was_put_back_to_an_older_state(column: Column) {
    let service = Service::start_as(column, "put_back", plan(OFTEN)).await;
    service.start_portal().await;
    service.start_staff().await;
    let database = service.database().await;
    for (person, put_back) in [
        (
            GUARDIAN,
            "UPDATE mailbox SET revision = revision - 1 WHERE person = 'portal/guardian'",
        ),
        // To before anything ever happened to it.
        (NURSE, "DELETE FROM mailbox WHERE person = 'staff/nurse'"),
    ] {
        let (mut watch, opened) = Watch::open(service.of(person), None).await.unwrap();
        database.execute_unprepared(put_back).await.unwrap();
        let end = timeout(PATIENCE, watch.end()).await.unwrap();
        assert_eq!(
            (end.code(), reason(&end)),
            (Code::Unavailable, "DEPENDENCY_UNAVAILABLE".to_owned())
        );
        // Whoever resumes learns that what they know is of a state that is gone.
        let refused = Watch::open(service.of(person), Some(opened.position))
            .await
            .err()
            .unwrap();
        assert_eq!(fields(&refused), ["after_position"]);
        Watch::open(service.of(person), None).await.unwrap();
    }
}
