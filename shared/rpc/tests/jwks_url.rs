//! Keys from a URL: read, and read again when they are rotated.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::{Arc, Mutex};

use carepost_rpc::authn::{Authenticator, IdentitySettings, Keys};
use carepost_runtime::{Clock, settings::Reader};
use carepost_testkit::TokenIssuer;
use http::{HeaderMap, header::AUTHORIZATION};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::{Duration, Instant, sleep},
};
use tonic::Code;

/// Serves a text over HTTP/1.1, whatever is asked.
async fn serve(text: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4_096];
            let _ = stream.read(&mut asked).await;
            let body = text.lock().unwrap().clone();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all([head, body].concat().as_bytes()).await;
        }
    });
    url
}

fn headers(token: &str) -> HeaderMap {
    HeaderMap::from_iter([(AUTHORIZATION, format!("Bearer {token}").parse().unwrap())])
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_read_from_a_url_and_a_rotation_is_seen_by_all_who_come_with_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let first = TokenIssuer::new("login");
    let served = Arc::new(Mutex::new(first.jwks_json()));
    let url = serve(Arc::clone(&served)).await;
    let text =
        format!("[[identity.issuers]]\nissuer = \"login\"\njwks_url = \"{url}\"\norganizations = [\"southern\"]\n");
    let mut reader = Reader::embedded("[identity]\naudience = \"carepost\"\n", &text).unwrap();
    let settings = IdentitySettings::read(&mut reader);
    let settings = reader.finish(settings).unwrap();
    let keys = Keys::load(&settings).await.unwrap();
    let authenticator = Authenticator::new(settings, keys, Clock::system());
    let old = headers(&first.person("southern", "staff/1"));
    authenticator.verify(&old).await.unwrap();

    let second = TokenIssuer::eddsa("login");
    *served.lock().unwrap() = second.jwks_json();
    let new = headers(&second.person("southern", "staff/1"));
    let many = (0..16).map(|_| authenticator.verify(&new));
    let answers = futures::future::join_all(many).await;
    assert!(
        answers.iter().all(Result::is_ok),
        "everybody waits for the one who reads the keys"
    );
    let refused = authenticator.verify(&old).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::Unauthenticated,
        "a remembered token goes with its key"
    );
}

#[tokio::test]
async fn without_keys_nobody_is_told_that_their_token_is_wrong() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let issuer = TokenIssuer::new("login");
    let served = Arc::new(Mutex::new("no keys".to_owned()));
    let url = serve(Arc::clone(&served)).await;
    let text = format!("[[identity.issuers]]\nissuer = \"login\"\njwks_url = \"{url}\"\norganizations = [\"*\"]\n");
    let mut reader = Reader::embedded("[identity]\naudience = \"carepost\"\n", &text).unwrap();
    let settings = IdentitySettings::read(&mut reader);
    let settings = reader.finish(settings).unwrap();
    let keys = Keys::load(&settings).await.unwrap();
    let authenticator = Authenticator::new(settings, keys, Clock::system());
    let caller = headers(&issuer.person("southern", "staff/1"));
    assert_eq!(
        authenticator.verify(&caller).await.unwrap_err().code(),
        Code::Unavailable
    );
    *served.lock().unwrap() = issuer.jwks_json();
    let end = Instant::now() + Duration::from_secs(60);
    while authenticator.verify(&caller).await.is_err() {
        assert!(Instant::now() < end, "the keys are not read again");
        sleep(Duration::from_millis(50)).await;
    }
}
