//! Connections that cost something and bring nothing.

use std::time::Duration;

use bytes::Bytes;
use h2::{Reason, client::Builder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::timeout,
};
use tonic::Code;

use crate::{
    authority::Authority,
    raw::{LONG, Raw, of_person, request},
    served::{GET_UNREAD_COUNT, LIST_MESSAGES, Served, WATCH_INBOX, until},
};

const HEALTH: &str = "/grpc.health.v1.Health/Check";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// A frame of settings without any.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// The beginning of a frame of headers: 4,000 bytes are to come, of the first stream.
const HEADERS: &[u8] = &[0, 15, 160, 1, 4, 0, 0, 0, 1];
const IMPATIENT: &str = "connection_patience_seconds = 1\nkeepalive_seconds = 1";

async fn connect(served: &Served) -> TcpStream {
    TcpStream::connect(("127.0.0.1", served.port)).await.unwrap()
}

/// Waits until the server has closed a connection, while a byte goes out now and then if there is one.
async fn is_closed(mut stream: TcpStream, dribbled: Option<u8>) {
    let (mut read, mut write) = stream.split();
    let reading = async {
        let mut buffer = [0; 4_096];
        while read.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
    };
    let writing = async {
        while let Some(byte) = dribbled {
            if write.write_all(&[byte]).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        std::future::pending().await
    };
    let closed = async {
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
    };
    assert!(timeout(LONG, closed).await.is_ok(), "it stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_of_tls_that_does_not_end_is_ended() {
    let ours = Authority::new();
    let (certificate, key) = ours.sign("localhost");
    let lines = format!("{IMPATIENT}\ncertificate_file = {certificate:?}\nkey_file = {key:?}");
    let served = Served::with(&lines).await;
    is_closed(connect(&served).await, None).await;
    // The beginning of a record of 16,000 bytes, dribbled.
    let mut half = connect(&served).await;
    half.write_all(&[22, 3, 1, 62, 128]).await.unwrap();
    is_closed(half, Some(1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_begin_http_2_is_cut_off() {
    let served = Served::with(IMPATIENT).await;
    is_closed(connect(&served).await, None).await;
    let mut half = connect(&served).await;
    half.write_all(&PREFACE[..20]).await.unwrap();
    is_closed(half, None).await;
    let mut without_settings = connect(&served).await;
    without_settings.write_all(PREFACE).await.unwrap();
    is_closed(without_settings, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_that_come_byte_by_byte_are_not_waited_for() {
    let served = Served::with(IMPATIENT).await;
    let mut slow = connect(&served).await;
    slow.write_all(&[PREFACE, SETTINGS, HEADERS].concat()).await.unwrap();
    is_closed(slow, Some(0)).await;
    assert_eq!(served.work.begun(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_not_taken_ends_alone() {
    for room in [0, 1, 20_000] {
        let served = Served::with("connection_patience_seconds = 1").await;
        let raw = Raw::with(&served, Builder::new().initial_window_size(room)).await;
        let answer = raw.call(of_person(&served, LIST_MESSAGES)).await.unwrap();
        let mut body = answer.into_body();
        until("the answer is dropped", || served.work.held() == 0).await;
        let taken = async {
            loop {
                match body.data().await.unwrap() {
                    Ok(_) => {}
                    Err(error) => return error,
                }
            }
        };
        let error = timeout(LONG, taken).await.unwrap();
        assert_eq!(error.reason(), Some(Reason::CANCEL), "{room}");
        // The connection goes on, and so do those who only wait.
        served.work.gate.add_permits(1);
        let other = raw.status(of_person(&served, GET_UNREAD_COUNT)).await;
        assert_eq!(other.code(), Code::Ok);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_to_which_nothing_happens_is_no_slow_reader() {
    let served = Served::with(IMPATIENT).await;
    let raw = Raw::connect(&served).await;
    let mut watch = raw.call(of_person(&served, WATCH_INBOX)).await.unwrap().into_body();
    let told = timeout(Duration::from_secs(4), watch.data()).await;
    assert!(told.is_err(), "{told:?}");
    assert!(!raw.connection.is_finished());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_at_all_is_cut_off() {
    let served = Served::with(IMPATIENT).await;
    let stream = connect(&served).await;
    let raw = stream.into_std().unwrap();
    let mut control = TcpStream::from_std(raw.try_clone().unwrap()).unwrap();
    let (send, connection) = Builder::new()
        .initial_window_size(1 << 30)
        .initial_connection_window_size(1 << 30)
        .handshake::<_, Bytes>(TcpStream::from_std(raw).unwrap())
        .await
        .unwrap();
    let mut connection = Box::pin(connection);
    let mut send = send;
    let request = of_person(&served, LIST_MESSAGES).body(()).unwrap();
    let _answer = send.send_request(request, true).unwrap();
    // Sent, and never read from again.
    let sent = async {
        while served.work.begun() == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = &mut connection => panic!("it ends too early"),
        () = sent => {}
    }
    let closed = async {
        // A ping that nobody answers; it fails once the server is gone.
        while control
            .write_all(&[0, 0, 8, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
            .await
            .is_ok()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    assert!(timeout(LONG, closed).await.is_ok(), "it stays open");
    until("the answer is dropped", || served.work.held() == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_calls_is_left_in_good_order() {
    let served = Served::with("max_connection_idle_seconds = 1").await;
    let raw = Raw::connect(&served).await;
    assert_eq!(raw.call(request(HEALTH)).await.unwrap().status(), 200);
    let ended = timeout(LONG, raw.connection).await.unwrap().unwrap();
    assert!(ended.is_ok(), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_are_only_so_many_connections_and_the_next_one_is_told_at_once() {
    let served = Served::with("max_connections = 3").await;
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(Raw::connect(&served).await);
    }
    is_closed(connect(&served).await, None).await;
    for raw in &open {
        assert_eq!(raw.call(request(HEALTH)).await.unwrap().status(), 200);
    }
    open.pop().unwrap().connection.abort();
    let again = async {
        loop {
            let stream = connect(&served).await;
            let Ok((send, connection)) = Builder::new().handshake::<_, Bytes>(stream).await else {
                continue;
            };
            let connection = tokio::spawn(connection);
            let Ok(mut send) = send.ready().await else { continue };
            let Ok((answer, _)) = send.send_request(request(HEALTH).body(()).unwrap(), true) else {
                continue;
            };
            if answer.await.is_ok() {
                connection.abort();
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(timeout(LONG, again).await.is_ok(), "the place is not free again");
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_and_streams_have_their_bounds() {
    let served = Served::with("").await;
    let raw = Raw::connect(&served).await;
    let fits = of_person(&served, WATCH_INBOX).header("x-large", "x".repeat(10_000));
    assert_eq!(raw.call(fits).await.unwrap().status(), 200);
    let large = of_person(&served, WATCH_INBOX).header("x-large", "x".repeat(20_000));
    let refused = raw.call(large).await.map(|answer| answer.status());
    assert!(!refused.as_ref().is_ok_and(http::StatusCode::is_success), "{refused:?}");
    assert_eq!(served.work.begun(), 1);
    assert_eq!(raw.most_streams(), 1_024);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_resets_costs_its_own_connection_at_most() {
    let served = Served::with("max_concurrent_calls = 50").await;
    let mut floods = JoinSet::new();
    for _ in 0..4 {
        let raw = Raw::connect(&served).await;
        let call = of_person(&served, GET_UNREAD_COUNT);
        let uri = call.uri_ref().unwrap().clone();
        let headers = call.headers_ref().unwrap().clone();
        floods.spawn(async move {
            for _ in 0..2_000 {
                let mut call = http::Request::post(uri.clone());
                *call.headers_mut().unwrap() = headers.clone();
                // Dropped at once, which resets it.
                if !raw.begin_or_gone(call).await {
                    return;
                }
            }
        });
    }
    let flooded = async { while floods.join_next().await.is_some() {} };
    assert!(timeout(LONG, flooded).await.is_ok());
    until("nobody works for who is gone", || served.work.under_way() == 0).await;
    served.work.gate.add_permits(1);
    let raw = Raw::connect(&served).await;
    assert_eq!(raw.status(of_person(&served, GET_UNREAD_COUNT)).await.code(), Code::Ok);
}
