//! Deadlines, kept by the server: a client of gRPC would give up by itself at the same moment, and hide it.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use carepost_identity::OrganizationId;
use carepost_proto::messaging::v1::{GetUnreadCountRequest, messaging_service_client::MessagingServiceClient};
use carepost_rpc::{
    deadline::Deadline,
    peer::{Peer, PeerError, PeerSettings},
};
use carepost_runtime::settings::Reader;
use tokio::task::JoinSet;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    raw::{Raw, of_person},
    served::{GET_UNREAD_COUNT, Served, until},
};

fn is_late(refused: &Status) {
    assert_eq!(refused.code(), Code::DeadlineExceeded, "{refused:?}");
    let info = refused.get_details_error_info().unwrap();
    assert_eq!(info.reason, "DEADLINE_EXCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_stops_at_the_caller_s_deadline_and_says_so() {
    let served = Served::with("").await;
    let raw = Arc::new(Raw::connect(&served).await);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let call = of_person(&served, GET_UNREAD_COUNT).header("grpc-timeout", "300m");
        let raw = Arc::clone(&raw);
        calls.spawn(async move { raw.status(call).await });
    }
    until("all are under way", || served.work.begun() == 200).await;
    while let Some(refused) = calls.join_next().await {
        is_late(&refused.unwrap());
    }
    until("nobody works on", || served.work.under_way() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_has_a_deadline_of_its_own_and_the_sooner_one_counts() {
    let served = Served::with("call_timeout_ms = 300").await;
    let raw = Raw::connect(&served).await;
    let begun = Instant::now();
    is_late(&raw.status(of_person(&served, GET_UNREAD_COUNT)).await);
    let long = of_person(&served, GET_UNREAD_COUNT).header("grpc-timeout", "1H");
    is_late(&raw.status(long).await);
    assert!(begun.elapsed() >= Duration::from_millis(600));
    let short = of_person(&served, GET_UNREAD_COUNT).header("grpc-timeout", "10m");
    let begun = Instant::now();
    is_late(&raw.status(short).await);
    assert!(begun.elapsed() < Duration::from_millis(300));
    assert_eq!(served.work.begun(), 3);
    // Nothing is begun for who has no time at all.
    let none = of_person(&served, GET_UNREAD_COUNT).header("grpc-timeout", "0m");
    is_late(&raw.status(none).await);
    assert_eq!(served.work.begun(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_a_place_is_part_of_the_deadline() {
    let served = Served::with("max_concurrent_calls = 1\nmax_waiting_calls = 5").await;
    let raw = Raw::connect(&served).await;
    let _under_way = raw.begin(of_person(&served, GET_UNREAD_COUNT)).await;
    until("it is under way", || served.work.under_way() == 1).await;
    let waiting = of_person(&served, GET_UNREAD_COUNT).header("grpc-timeout", "200m");
    is_late(&raw.status(waiting).await);
    assert_eq!(served.work.begun(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_comes_too_slowly_meets_the_deadline() {
    let served = Served::with("call_timeout_ms = 500").await;
    let raw = Raw::connect(&served).await;
    let (answer, mut body) = raw.begin(of_person(&served, GET_UNREAD_COUNT)).await;
    let dribble = async {
        loop {
            // Fails when the server has answered.
            if body.send_data(bytes::Bytes::from_static(&[0]), false).is_err() {
                return std::future::pending().await;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let answer = tokio::select! {
        answer = tokio::time::timeout(crate::raw::LONG, answer) => answer.unwrap().unwrap(),
        () = dribble => panic!("it never ends"),
    };
    is_late(&crate::raw::status(answer.headers()));
    until("nobody works on", || served.work.under_way() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_in_turn_gets_the_time_that_is_left() {
    let served = Served::with("").await;
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    fs::write(&token, served.token()).unwrap();
    let text = format!(
        "[peer]\nurl = \"http://127.0.0.1:{}\"\nca_file = \"\"\ncertificate_file = \"\"\nkey_file = \"\"\n\
         token_file = {token:?}\ntimeout_ms = 50000\n",
        served.port
    );
    let mut reader = Reader::embedded(&text, "").unwrap();
    let settings = PeerSettings::read(&mut reader, "peer");
    let peer = Peer::new("messaging", &reader.finish(settings).unwrap()).unwrap();
    let organization = OrganizationId::parse("prairie").unwrap();

    let ask = |deadline| {
        peer.call(
            &organization,
            deadline,
            GetUnreadCountRequest {},
            async |channel, request| MessagingServiceClient::new(channel).get_unread_count(request).await,
        )
    };
    let answer = ask(Some(Deadline::after(Duration::from_millis(600)))).await;
    assert!(matches!(answer, Err(PeerError::Unavailable(_))));
    let left = served.work.left.lock().unwrap().unwrap();
    assert!(left <= Duration::from_millis(600), "{left:?}");
    assert!(left > Duration::from_millis(100), "{left:?}");
    until("nobody works on", || served.work.under_way() == 0).await;
}
