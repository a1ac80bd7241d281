//! TLS between services: whom each side believes, and what happens when certificates are renewed.

use std::{fmt::Write, fs, path::PathBuf};

use carepost_rpc::connect::{ClientTls, channel};
use carepost_runtime::{
    lifecycle::Lifecycle,
    server::{self, ServerSettings},
    settings::{Faults, Reader},
};
use tokio::time::Duration;
use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use url::Url;

use crate::authority::Authority;

const SERVER: &str = "[server]\nlisten = \"127.0.0.1:0\"\nmax_concurrent_calls = 10\n\
    max_waiting_calls = 10\nmax_wait_ms = 100\nmax_connections = 100\nconnection_patience_seconds = 10\n\
    max_connection_idle_seconds = 120\nmax_connection_grace_seconds = 3600\ncall_timeout_ms = 10000\n\
    max_request_bytes = 262144\ngrace_seconds = 120\nmax_connection_age_seconds = 300\nkeepalive_seconds = 30\n\
    person_calls_per_second = 20\nperson_burst = 200\nservice_calls_per_second = 20\nservice_burst = 200\n\
    organization_calls_per_second = 20\norganization_burst = 200\nallow_plaintext = false\n";

fn settings(lines: &[(&str, &PathBuf)]) -> Result<ServerSettings, Faults> {
    let mut text = "[server]\n".to_owned();
    for (key, file) in lines {
        writeln!(text, "{key} = \"{}\"", file.display()).unwrap();
    }
    let mut reader = Reader::embedded(SERVER, &text)?;
    let settings = ServerSettings::read(&mut reader);
    reader.finish(settings)
}

/// A server of health, and its port.
struct Served {
    port: u16,
    life: Lifecycle,
}

impl Served {
    async fn with(lines: &[(&str, &PathBuf)]) -> Self {
        let settings = settings(lines).unwrap();
        let incoming = settings.bind().await.unwrap();
        let port = incoming.address().port();
        let life = Lifecycle::default();
        let (_, health) = tonic_health::server::health_reporter();
        let router = settings.builder().add_service(health);
        let serving = router.serve_with_incoming_shutdown(incoming, life.stopping().cancelled_owned());
        life.spawn("server", server::run(serving, life.stopping(), Duration::from_secs(1)));
        Self { port, life }
    }

    /// One call over a connection of its own.
    async fn call(&self, scheme: &str, host: &str, tls: &ClientTls) -> Result<(), Status> {
        let url = Url::parse(&format!("{scheme}://{host}:{}", self.port)).unwrap();
        let mut client = HealthClient::new(channel(&url, tls).unwrap());
        client.check(HealthCheckRequest::default()).await.map(drop)
    }

    async fn refuses(&self, scheme: &str, host: &str, tls: &ClientTls) {
        let refused = self.call(scheme, host, tls).await.unwrap_err();
        // With TLS 1.3 a client hears only after its own part that it was not believed, as a connection that closes. One
        // that speaks in the clear may read the alert, which is no HTTP/2.
        let unconnected = [Code::Unavailable, Code::Unknown, Code::Cancelled, Code::Internal];
        assert!(unconnected.contains(&refused.code()), "{refused}");
    }

    async fn stop(self) {
        self.life.finish(Duration::from_secs(5)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_believes_a_certificate_of_its_authority_for_the_name_that_it_called() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.sign("localhost");
    let served = Served::with(&[("certificate_file", &certificate), ("key_file", &key)]).await;
    served.call("https", "localhost", &ours.trusted()).await.unwrap();
    served.refuses("https", "localhost", &other.trusted()).await;
    served.refuses("https", "localhost", &ClientTls::default()).await;
    served.refuses("https", "127.0.0.1", &ours.trusted()).await;
    served.refuses("http", "localhost", &ClientTls::default()).await;
    served.call("https", "localhost", &ours.known()).await.unwrap();
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mutual_tls_lets_in_who_has_a_certificate_of_the_authority() {
    let (ours, other) = (Authority::new(), Authority::new());
    let (certificate, key) = ours.sign("localhost");
    let served = Served::with(&[
        ("certificate_file", &certificate),
        ("key_file", &key),
        ("client_ca_file", &ours.file("ca.pem")),
    ])
    .await;
    served.call("https", "localhost", &ours.known()).await.unwrap();
    served.refuses("https", "localhost", &ours.trusted()).await;
    let stranger = ClientTls {
        identity: other.known().identity,
        ..ours.trusted()
    };
    served.refuses("https", "localhost", &stranger).await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewed_certificate_is_used_from_the_next_connection_on() {
    let (old, new) = (Authority::new(), Authority::new());
    let (certificate, key) = old.sign("localhost");
    let served = Served::with(&[("certificate_file", &certificate), ("key_file", &key)]).await;
    served.call("https", "localhost", &old.trusted()).await.unwrap();

    let (renewed, renewed_key) = new.sign("localhost");
    fs::copy(&renewed, &certificate).unwrap();
    // Half renewed, the two do not fit: the last pair that did stays in use.
    served.call("https", "localhost", &old.trusted()).await.unwrap();
    fs::copy(&renewed_key, &key).unwrap();
    served.call("https", "localhost", &new.trusted()).await.unwrap();
    served.refuses("https", "localhost", &old.trusted()).await;

    fs::write(&certificate, "no certificate at all").unwrap();
    served.call("https", "localhost", &new.trusted()).await.unwrap();
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_keeps_nobody_else_out() {
    let ours = Authority::new();
    let (certificate, key) = ours.sign("localhost");
    let served = Served::with(&[("certificate_file", &certificate), ("key_file", &key)]).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        silent.push(
            tokio::net::TcpStream::connect(("127.0.0.1", served.port))
                .await
                .unwrap(),
        );
    }
    served.call("https", "localhost", &ours.trusted()).await.unwrap();
    drop(silent);
    served.stop().await;
}

#[test]
fn in_the_clear_a_server_listens_on_this_machine_alone_unless_told_that_something_else_encrypts() {
    let read = |lines: &str| {
        let mut reader = Reader::embedded(SERVER, &format!("[server]\n{lines}")).unwrap();
        let settings = ServerSettings::read(&mut reader);
        reader.finish(settings).map(drop)
    };
    let beyond = "listen = \"0.0.0.0:7601\"\n";
    let refused = read(beyond).unwrap_err().to_string();
    assert!(
        refused.contains("server.certificate_file: is required to listen beyond"),
        "{refused}"
    );
    read(&format!("{beyond}allow_plaintext = true\n")).unwrap();
    read("listen = \"[::1]:7601\"\n").unwrap();
    let ours = Authority::new();
    let (certificate, key) = ours.sign("localhost");
    let lines = format!("certificate_file = {certificate:?}\nkey_file = {key:?}\n");
    read(&format!("{beyond}{lines}")).unwrap();
}

#[test]
fn files_that_cannot_be_used_are_told_before_a_port_is_bound() {
    let (ours, other) = (Authority::new(), Authority::new());
    let ((certificate, key), foreign) = (ours.sign("localhost"), other.sign("localhost").1);
    let missing = ours.file("missing.pem");
    let fault = |lines: &[(&str, &PathBuf)]| settings(lines).unwrap_err().to_string();
    let half = fault(&[("certificate_file", &certificate)]);
    assert!(half.contains("server.key_file: is required"), "{half}");
    let lone = fault(&[("client_ca_file", &certificate)]);
    assert!(lone.contains("server.client_ca_file: needs"), "{lone}");
    let absent = fault(&[("certificate_file", &missing), ("key_file", &key)]);
    assert!(absent.contains("missing.pem cannot be read"), "{absent}");
    let unfit = fault(&[("certificate_file", &certificate), ("key_file", &foreign)]);
    assert!(unfit.contains("cannot be used together"), "{unfit}");
    let swapped = fault(&[("certificate_file", &key), ("key_file", &certificate)]);
    assert!(swapped.contains("holds no usable certificate"), "{swapped}");
    let private = fs::read_to_string(&key).unwrap();
    assert!(
        !swapped.contains(private.lines().nth(1).unwrap()),
        "a key is never told"
    );
}
