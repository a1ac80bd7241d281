//! What is asked beside the suite's own RPCs, health and reflection, and who is refused: all of it has bounds.

use bytes::Bytes;
use tokio::time::timeout;
use tonic::{Code, Status};

use crate::{
    raw::{LONG, Raw, of_person, request, status},
    served::{GET_UNREAD_COUNT, Served, WATCH_INBOX, until},
};

const CHECK: &str = "/grpc.health.v1.Health/Check";
const WATCH: &str = "/grpc.health.v1.Health/Watch";
const REFLECTION: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
/// The beginning of a message of 2 MiB.
const LARGE: &[u8] = &[0, 0, 32, 0, 0];
/// The message `list_services: ""` of reflection.
const LIST_SERVICES: &[u8] = &[0, 0, 0, 0, 2, 58, 0];

#[tokio::test(flavor = "multi_thread")]
async fn nobody_asks_for_health_at_length() {
    let served = Served::with("").await;
    let raw = Raw::connect(&served).await;
    let (answer, mut body) = raw.begin(request(CHECK)).await;
    body.send_data(Bytes::from_static(LARGE), false).unwrap();
    let answer = timeout(LONG, answer).await.expect("it waits for the rest").unwrap();
    assert_eq!(status(answer.headers()).code(), Code::OutOfRange);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_about_health_that_does_not_end_is_ended() {
    let served = Served::with("").await;
    let raw = Raw::connect(&served).await;
    let (answer, _body) = raw.begin(request(CHECK)).await;
    let answer = timeout(LONG, answer).await.expect("it waits for the rest").unwrap();
    assert_eq!(status(answer.headers()).code(), Code::DeadlineExceeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_so_many_watch_the_health_and_others_can_still_ask() {
    let served = Served::with("").await;
    let raw = Raw::connect(&served).await;
    let mut watches = Vec::new();
    let refused = loop {
        let answer = raw.call(request(WATCH)).await.unwrap();
        if answer.headers().contains_key("grpc-status") {
            break status(answer.headers());
        }
        let mut told = answer.into_body();
        assert!(timeout(LONG, told.data()).await.unwrap().unwrap().is_ok());
        watches.push(told);
        assert!(watches.len() < 1_000, "nobody counts them");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert_eq!(raw.call(request(CHECK)).await.unwrap().status(), 200);
    watches.pop();
    let again = async {
        while raw
            .call(request(WATCH))
            .await
            .unwrap()
            .headers()
            .contains_key("grpc-status")
        {
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(LONG, again).await.is_ok(), "the place is not free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_answers_and_ends() {
    let served = Served::with("call_timeout_ms = 3000").await;
    let raw = Raw::connect(&served).await;
    let (answer, mut asking) = raw.begin(of_person(&served, REFLECTION)).await;
    asking.send_data(Bytes::from_static(LIST_SERVICES), false).unwrap();
    let mut body = timeout(LONG, answer).await.unwrap().unwrap().into_body();
    let listed = timeout(LONG, body.data()).await.unwrap().unwrap().unwrap();
    let name = b"carepost.messaging.v1.MessagingService";
    assert!(listed.windows(name.len()).any(|part| part == name));
    // Its client leaves it open.
    let ended = timeout(LONG, body.trailers()).await.expect("it goes on");
    assert!(ended.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many_reflections_and_their_places_are_given_back() {
    let served = Served::with("call_timeout_ms = 8000").await;
    let raw = Raw::connect(&served).await;
    let mut open = Vec::new();
    let refused = loop {
        let (answer, body) = raw.begin(of_person(&served, REFLECTION)).await;
        let answer = timeout(LONG, answer).await.unwrap().unwrap();
        if answer.headers().contains_key("grpc-status") {
            break status(answer.headers());
        }
        open.push((answer, body));
        assert!(open.len() < 1_000, "nobody counts them");
    };
    assert_eq!(refused.code(), Code::ResourceExhausted);
    let again = async {
        loop {
            let answer = raw.call(of_person(&served, REFLECTION)).await.unwrap();
            if !answer.headers().contains_key("grpc-status") {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    assert!(timeout(LONG, again).await.is_ok(), "they keep their places for ever");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_pays_for_the_call_as_well() {
    let for_services_alone = "/carepost.messaging.v1.OperatorService/ListUnanswered";
    for (path, acting_as) in [
        (for_services_alone, ""),
        (GET_UNREAD_COUNT, "staff/2"),
        // No person, and no text.
        (GET_UNREAD_COUNT, "\u{fc}"),
        ("/nothing", ""),
        (REFLECTION, ""),
    ] {
        let served = Served::with("person_calls_per_second = 1\nperson_burst = 3").await;
        let raw = Raw::connect(&served).await;
        let call = || match acting_as {
            "" => of_person(&served, path),
            person => of_person(&served, path).header("carepost-act-as", person.as_bytes()),
        };
        let mut calls = 0;
        loop {
            let answer = raw.call(call()).await.unwrap();
            let code = Status::from_header_map(answer.headers()).map(|status| status.code());
            if code == Some(Code::ResourceExhausted) {
                break;
            }
            calls += 1;
            assert!(calls < 60, "{path} {acting_as} is for nothing");
        }
        assert!(calls >= 3, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_places_are_few_who_is_not_known_leaves_them() {
    let served = Served::with("max_connections = 4\nconnection_patience_seconds = 2").await;
    let known = Raw::connect(&served).await;
    let watch = known.call(of_person(&served, WATCH_INBOX)).await.unwrap();
    let mut strangers = Vec::new();
    for _ in 0..3 {
        let stranger = Raw::connect(&served).await;
        // A call under way, so that it is not idle.
        strangers.push((stranger.call(request(WATCH)).await.unwrap(), stranger));
    }
    until("one of them leaves", || {
        strangers.iter().any(|(_, stranger)| stranger.connection.is_finished())
    })
    .await;
    assert!(!known.connection.is_finished());
    drop(watch);
    served.work.gate.add_permits(1);
    assert_eq!(
        known.status(of_person(&served, GET_UNREAD_COUNT)).await.code(),
        Code::Ok
    );
}
