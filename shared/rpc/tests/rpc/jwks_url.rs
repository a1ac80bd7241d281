//! Keys from a URL: read, and read again when they are rotated.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use carepost_rpc::authn::{Authenticator, IdentitySettings, Keys};
use carepost_runtime::{
    Clock,
    settings::{Faults, Reader},
    tls,
};
use carepost_testkit::TokenIssuer;
use http::{HeaderMap, header::AUTHORIZATION};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpListener,
    sync::Semaphore,
    time::{Duration, Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tonic::Code;

use crate::authority::Authority;

/// Answers one request over HTTP/1.1, and gives what was asked.
async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, reply: impl Fn(&str) -> (u16, String)) {
    let mut asked = vec![0; 4_096];
    let length = stream.read(&mut asked).await.unwrap_or(0);
    let (status, body) = reply(&String::from_utf8_lossy(&asked[..length]));
    let length = body.len();
    let head = format!("HTTP/1.1 {status} Told\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    let _ = stream.write_all([head, body].concat().as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Serves a text, whatever is asked.
async fn serve(text: Arc<Mutex<String>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            answer(stream, |_| (200, text.lock().unwrap().clone())).await;
        }
    });
    url
}

/// Serves a text over TLS to whoever shows this token, as Kubernetes does.
async fn serve_securely(authority: &Authority, token: &'static str, text: String) -> String {
    let (certificate, key) = authority.sign("localhost");
    let (chain, key) = (
        tls::certificates(&certificate).unwrap(),
        tls::private_key(&key).unwrap(),
    );
    let config = ServerConfig::builder_with_provider(tls::provider()).with_safe_default_protocol_versions();
    let config = config
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "https://localhost:{}/openid/v1/jwks",
        listener.local_addr().unwrap().port()
    );
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let shown = format!("authorization: Bearer {token}\r\n");
            answer(stream, |asked| match asked.contains(&shown) {
                true => (200, text.clone()),
                false => (401, String::new()),
            })
            .await;
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
    let keys = Keys::load(&settings).await;
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

/// Serves a text, once there is a permit for it; and counts who asks.
async fn serve_slowly(text: Arc<Mutex<String>>, gate: Arc<Semaphore>, asked: Arc<AtomicUsize>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            asked.fetch_add(1, Ordering::SeqCst);
            let (text, gate) = (Arc::clone(&text), Arc::clone(&gate));
            tokio::spawn(async move {
                gate.acquire().await.unwrap().forget();
                answer(stream, |_| (200, text.lock().unwrap().clone())).await;
            });
        }
    });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_who_go_away_do_not_have_the_keys_read_again_and_again() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (first, second) = (TokenIssuer::new("login"), TokenIssuer::eddsa("login"));
    let served = Arc::new(Mutex::new(first.jwks_json()));
    let (gate, asked) = (Arc::new(Semaphore::new(1)), Arc::default());
    let url = serve_slowly(Arc::clone(&served), Arc::clone(&gate), Arc::clone(&asked)).await;
    let settings = settings(&url, &[]).unwrap();
    let keys = Keys::load(&settings).await;
    let authenticator = Authenticator::new(settings, keys, Clock::system());
    assert_eq!(asked.load(Ordering::SeqCst), 1);

    *served.lock().unwrap() = second.jwks_json();
    let new = headers(&second.person("southern", "staff/1"));
    for _ in 0..20 {
        let gone = timeout(Duration::from_millis(20), authenticator.verify(&new)).await;
        assert!(gone.is_err(), "{gone:?}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    gate.add_permits(1);
    let verified = timeout(Duration::from_secs(20), authenticator.verify(&new)).await;
    assert!(
        verified.unwrap().is_ok(),
        "what was begun for who is gone is there for the others"
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
    let keys = Keys::load(&settings).await;
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

#[tokio::test]
async fn an_issuer_whose_keys_were_never_read_is_seen() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let nowhere: Vec<_> = (1..=9)
        .map(|issuer| format!("[[identity.issuers]]\nissuer = \"i{issuer}\"\njwks_url = \"http://127.0.0.1:1/\"\norganizations = [\"*\"]\n"))
        .collect();
    let mut reader = Reader::embedded("[identity]\naudience = \"carepost\"\n", &nowhere.concat()).unwrap();
    let settings = IdentitySettings::read(&mut reader);
    let _keys = Keys::load(&reader.finish(settings).unwrap()).await;
    let text = carepost_runtime::metrics::metrics().text().unwrap();
    // No other test has as many.
    assert!(
        text.contains("carepost_issuer_keys_read_seconds{issuer=\"9\"}"),
        "{text}"
    );
}

fn settings(url: &str, lines: &[(&str, &Path)]) -> Result<IdentitySettings, Faults> {
    let lines: Vec<_> = lines
        .iter()
        .map(|(key, path)| format!("{key} = \"{}\"\n", path.display()))
        .collect();
    let text = format!(
        "[[identity.issuers]]\nissuer = \"login\"\njwks_url = \"{url}\"\norganizations = [\"*\"]\n{}",
        lines.concat()
    );
    let mut reader = Reader::embedded("[identity]\naudience = \"carepost\"\n", &text)?;
    let settings = IdentitySettings::read(&mut reader);
    reader.finish(settings)
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_behind_a_private_authority_and_a_token_are_read_as_kubernetes_gives_them() {
    let (issuer, authority, foreign) = (TokenIssuer::new("login"), Authority::new(), Authority::new());
    let url = serve_securely(&authority, "shown", issuer.jwks_json()).await;
    let (token, wrong) = (authority.file("token"), authority.file("wrong"));
    fs::write(&token, "shown\n").unwrap();
    fs::write(&wrong, "other\n").unwrap();
    let (trusted, distrusted) = (authority.file("ca.pem"), foreign.file("ca.pem"));
    let caller = headers(&issuer.person("southern", "staff/1"));
    let verified = async |ca: &Path, token: &Path| {
        let settings = settings(&url, &[("jwks_ca_file", ca), ("jwks_token_file", token)]).unwrap();
        let keys = Keys::load(&settings).await;
        let authenticator = Authenticator::new(settings, keys, Clock::system());
        authenticator
            .verify(&caller)
            .await
            .map(drop)
            .map_err(|status| status.code())
    };
    assert_eq!(verified(&trusted, &token).await, Ok(()));
    assert_eq!(verified(&distrusted, &token).await, Err(Code::Unavailable));
    assert_eq!(verified(&trusted, &wrong).await, Err(Code::Unavailable));
}

#[test]
fn keys_are_not_fetched_in_the_clear_from_elsewhere() {
    for url in [
        "http://login.example.org/jwks.json",
        "ftp://localhost/jwks.json",
        "http://192.0.2.1/",
    ] {
        let faults = settings(url, &[]).err().unwrap().to_string();
        assert!(faults.contains("https, or http on this machine"), "{faults}");
    }
    for url in [
        "https://login.example.org/jwks.json",
        "http://[::1]:1/",
        "http://localhost/",
    ] {
        assert!(settings(url, &[]).is_ok(), "{url}");
    }
}
