//! More calls than places.

use std::{sync::Arc, time::Duration};

use carepost_testkit::TokenIssuer;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    raw::{LONG, Raw, of_person, request, status},
    served::{GET_UNREAD_COUNT, Served, WATCH_INBOX, until},
};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const MANY: usize = 10_000;

fn is_overload(refused: &Status) {
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
    assert_eq!(refused.get_details_error_info().unwrap().reason, "OVERLOADED");
    let delay = refused.get_details_retry_info().unwrap().retry_delay.unwrap();
    assert!((0.5..=1.0).contains(&delay.as_secs_f64()), "{delay:?}");
}

async fn next(answers: &mut JoinSet<Status>) -> Status {
    tokio::time::timeout(LONG, answers.join_next())
        .await
        .unwrap()
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_waits_what_is_more_is_refused_at_once_and_health_is_always_told() {
    let served = Served::with("max_concurrent_calls = 2\nmax_waiting_calls = 3").await;
    let raw = Arc::new(Raw::connect(&served).await);
    // Watches hold no place, however many there are.
    let mut watches = Vec::new();
    for _ in 0..10 {
        watches.push(raw.call(of_person(&served, WATCH_INBOX)).await.unwrap());
    }
    let mut answers = JoinSet::new();
    for _ in 0..9 {
        let (raw, call) = (Arc::clone(&raw), of_person(&served, GET_UNREAD_COUNT));
        answers.spawn(async move { raw.status(call).await });
    }
    for _ in 0..4 {
        is_overload(&next(&mut answers).await);
    }
    until("two are under way", || served.work.under_way() == 2).await;
    // Neither health nor the refusal of a stranger waits.
    assert_eq!(raw.call(request(HEALTH)).await.unwrap().status(), 200);
    is_overload(&raw.status(request(GET_UNREAD_COUNT)).await);

    served.work.gate.add_permits(MANY);
    for _ in 0..5 {
        assert_eq!(next(&mut answers).await.code(), Code::Ok);
    }
    assert_eq!(raw.status(of_person(&served, GET_UNREAD_COUNT)).await.code(), Code::Ok);
    assert_eq!(served.work.begun(), 10 + 5 + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_longer_than_allowed_and_who_goes_away_leaves_their_place() {
    let served = Served::with("max_concurrent_calls = 1\nmax_waiting_calls = 5\nmax_wait_ms = 100").await;
    let raw = Raw::connect(&served).await;
    let (under_way, _body) = raw.begin(of_person(&served, GET_UNREAD_COUNT)).await;
    until("it is under way", || served.work.under_way() == 1).await;
    is_overload(&raw.status(of_person(&served, GET_UNREAD_COUNT)).await);

    drop((under_way, _body));
    until("nobody works for who is gone", || served.work.under_way() == 0).await;
    served.work.gate.add_permits(MANY);
    assert_eq!(raw.status(of_person(&served, GET_UNREAD_COUNT)).await.code(), Code::Ok);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_in_numbers_do_not_keep_others_from_their_places() {
    let served = Served::with("max_concurrent_calls = 4\nmax_waiting_calls = 64").await;
    served.work.gate.add_permits(MANY);
    let flood = Arc::new(Raw::connect(&served).await);
    // Keys that nobody has make the issuer's be read again.
    let stranger = TokenIssuer::new("people").person("prairie", "staff/1");
    let mut strangers = JoinSet::new();
    for _ in 0..60 {
        let (flood, stranger) = (Arc::clone(&flood), stranger.clone());
        strangers.spawn(async move {
            let call = request(GET_UNREAD_COUNT).header("authorization", format!("Bearer {stranger}"));
            flood.status(call).await
        });
    }
    let raw = Raw::connect(&served).await;
    for _ in 0..20 {
        let answer = raw.status(of_person(&served, GET_UNREAD_COUNT)).await;
        assert_eq!(answer.code(), Code::Ok, "{answer:?}");
    }
    while let Some(refused) = strangers.join_next().await {
        let code = refused.unwrap().code();
        assert!([Code::Unauthenticated, Code::Unavailable].contains(&code), "{code:?}");
    }
    assert_eq!(served.work.begun(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_rpc_that_is_not_there_is_told_in_our_words_and_counted() {
    let served = Served::with("").await;
    let raw = Raw::connect(&served).await;
    let unknown = [
        "/carepost.messaging.v1.MessagingService/ReadEverything",
        "/carepost.messaging.v2.MessagingService/GetUnreadCount",
        "/nothing",
    ];
    let before = counted();
    for path in unknown {
        is_unimplemented(&raw.status(of_person(&served, path)).await);
        assert_eq!(raw.status(request(path)).await.code(), Code::Unauthenticated);
    }
    assert_eq!(counted() - before, unknown.len() as u64);
    // An RPC of the suite, and not of this server.
    let elsewhere = "/carepost.notification.v1.NotificationService/GetPreferences";
    is_unimplemented(&raw.status(of_person(&served, elsewhere)).await);
    let answer = raw.call(of_person(&served, elsewhere)).await.unwrap();
    assert_eq!(status(answer.headers()).code(), Code::Unimplemented);
    assert_eq!(served.work.begun(), 0);
}

fn is_unimplemented(refused: &Status) {
    assert_eq!(refused.code(), Code::Unimplemented, "{refused:?}");
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(
        (info.reason.as_str(), info.domain.as_str()),
        ("UNIMPLEMENTED", "carepost")
    );
}

/// How many calls of unknown RPCs were counted as such.
fn counted() -> u64 {
    let text = carepost_runtime::metrics::metrics().text().unwrap();
    let line = text.lines().find(|line| {
        line.starts_with("carepost_rpc_served_seconds_count")
            && line.contains("method=\"other\",code=\"UNIMPLEMENTED\"")
    });
    line.map_or(0, |line| line.split_whitespace().last().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_old_is_left_in_good_order_and_calls_under_way_finish() {
    let served = Served::with("max_connection_age_seconds = 1").await;
    let raw = Raw::connect(&served).await;
    let (answer, mut body) = raw.begin(of_person(&served, GET_UNREAD_COUNT)).await;
    body.send_data(bytes::Bytes::from_static(&[0; 5]), true).unwrap();
    // It takes no more calls before this one has ended.
    let leaving = async {
        while raw.begin_or_gone(of_person(&served, WATCH_INBOX)).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(LONG, leaving).await.unwrap();
    assert_eq!(served.work.under_way(), 1);
    served.work.gate.add_permits(1);
    let answer = tokio::time::timeout(LONG, answer).await.unwrap().unwrap();
    assert_eq!(status(answer.headers()).code(), Code::Ok);
}
