//! The SMTP server, over raw TCP and TLS.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "helpers of tests, outside of test functions"
)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use carepost_testkit::SmtpServer;
use carepost_testkit::smtp::{Behaviour, Options, Security};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

const DEADLINE: Duration = Duration::from_secs(10);
const DATA: &str = "Message-ID: <1@example.org>\r\n\r\nhello\r\n.";

struct Client<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// The last line of the next answer; empty when the server has closed.
    async fn answer(&mut self) -> io::Result<String> {
        let mut line = String::new();
        loop {
            line.clear();
            tokio::time::timeout(DEADLINE, self.0.read_line(&mut line)).await??;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line.trim_end().to_owned());
            }
        }
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.answer().await.unwrap()
    }

    /// A whole mail; what the server answers to RCPT, or to the end of the data.
    async fn send(&mut self, to: &str) -> String {
        assert!(
            self.say("MAIL FROM:<no-reply@example.org> SIZE=20")
                .await
                .starts_with("250")
        );
        let answer = self.say(&format!("RCPT TO:<{to}>")).await;
        if !answer.starts_with("250") {
            return answer;
        }
        assert!(self.say("DATA").await.starts_with("354"));
        self.say(DATA).await
    }
}

async fn connect(server: &SmtpServer) -> Client<TcpStream> {
    Client(BufReader::new(TcpStream::connect(server.address()).await.unwrap()))
}

async fn greeted(server: &SmtpServer) -> Client<TcpStream> {
    let mut client = connect(server).await;
    assert!(client.answer().await.unwrap().starts_with("220"));
    assert!(client.say("EHLO test").await.starts_with("250"));
    client
}

async fn secured(server: &SmtpServer, stream: TcpStream) -> Client<tokio_rustls::client::TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("localhost").unwrap();
    Client(BufReader::new(
        TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap(),
    ))
}

fn options(security: Security) -> Options {
    Options { port: 0, security }
}

#[tokio::test]
async fn a_mail_is_kept_as_sent_and_acknowledged() {
    let server = SmtpServer::start(options(Security::Plain)).await;
    let mut client = greeted(&server).await;
    assert!(client.send("Guardian@Example.org").await.starts_with("250"));
    assert!(client.say("NOOP").await.starts_with("250"));
    assert!(client.say("QUIT").await.starts_with("221"));
    let mails = server.wait_for(|mails| mails.len() == 1, DEADLINE).await;
    assert_eq!(mails[0].from, "no-reply@example.org");
    assert_eq!(mails[0].to, ["Guardian@Example.org"]);
    assert_eq!(mails[0].data, "Message-ID: <1@example.org>\r\n\r\nhello\r\n");
    assert_eq!(mails[0].message_id.as_deref(), Some("<1@example.org>"));
    assert!(mails[0].acknowledged);
    assert_eq!(server.mails_to("guardian@example.org").len(), 1);
    assert!(!format!("{mails:?}").to_lowercase().contains("guardian"));
}

#[tokio::test]
async fn starttls_is_required_and_works() {
    let server = SmtpServer::start(Options::default()).await;
    let mut client = greeted(&server).await;
    assert!(client.say("MAIL FROM:<a@example.org>").await.starts_with("530"));
    assert!(client.say("STARTTLS").await.starts_with("220"));
    let mut client = secured(&server, client.0.into_inner()).await;
    assert!(client.say("EHLO test").await.starts_with("250"));
    assert!(client.send("one@example.org").await.starts_with("250"));
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn commands_sent_in_the_clear_behind_starttls_are_not_obeyed() {
    let server = SmtpServer::start(Options::default()).await;
    let mut client = greeted(&server).await;
    assert!(
        client
            .say("STARTTLS\r\nMAIL FROM:<a@example.org>")
            .await
            .starts_with("220")
    );
    assert!(matches!(client.answer().await.as_deref(), Ok("") | Err(_)));
}

#[tokio::test]
async fn implicit_tls_works() {
    let server = SmtpServer::start(options(Security::Tls)).await;
    let mut client = secured(&server, TcpStream::connect(server.address()).await.unwrap()).await;
    assert!(client.answer().await.unwrap().starts_with("220"));
    assert!(client.say("EHLO test").await.starts_with("250"));
    assert!(client.send("one@example.org").await.starts_with("250"));
}

#[tokio::test]
async fn the_script_decides_by_recipient_and_attempt() {
    let server = SmtpServer::start(options(Security::Plain)).await;
    server.script(|recipient, attempt| match (recipient, attempt) {
        ("later@example.org", 1) => Behaviour::RefuseRecipient(450, "4.2.1 not yet".into()),
        ("never@example.org", _) => Behaviour::RefuseRecipient(550, "5.1.1 nobody".into()),
        ("spam@example.org", _) => Behaviour::RefuseData(554, "5.7.1 no".into()),
        _ => Behaviour::Accept,
    });
    let mut client = greeted(&server).await;
    assert_eq!(client.send("later@example.org").await, "450 4.2.1 not yet");
    assert!(client.say("RSET").await.starts_with("250"));
    assert!(client.send("later@example.org").await.starts_with("250"));
    assert_eq!(client.send("spam@example.org").await, "554 5.7.1 no");
    assert_eq!(client.send("never@example.org").await, "550 5.1.1 nobody");
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn a_withheld_answer_leaves_the_mail_unacknowledged() {
    let server = SmtpServer::start(options(Security::Plain)).await;
    server.script(|recipient, _| {
        if recipient.starts_with("drop") {
            Behaviour::DropAfterData
        } else {
            Behaviour::Hang
        }
    });
    assert_eq!(greeted(&server).await.send("drop@example.org").await, "");
    let mut hanging = greeted(&server).await;
    let silent = tokio::time::timeout(Duration::from_millis(200), hanging.send("hang@example.org")).await;
    assert!(silent.is_err(), "{silent:?}");
    let mails = server.wait_for(|mails| mails.len() == 2, DEADLINE).await;
    assert!(mails.iter().all(|mail| !mail.acknowledged));
    server.stop().await;
    assert!(matches!(hanging.answer().await.as_deref(), Ok("") | Err(_)));
}

#[tokio::test]
async fn connections_can_be_refused_and_the_server_stopped_and_started_on_its_port() {
    let server = SmtpServer::start(options(Security::Plain)).await;
    server.refuse_connections(true);
    assert!(connect(&server).await.answer().await.unwrap().starts_with("421"));
    server.refuse_connections(false);
    assert!(greeted(&server).await.send("one@example.org").await.starts_with("250"));
    server.stop().await;
    assert!(TcpStream::connect(server.address()).await.is_err());
    server.restart().await;
    assert!(greeted(&server).await.send("two@example.org").await.starts_with("250"));
    assert_eq!((server.mails().len(), server.connections()), (2, 3));
}

#[tokio::test]
async fn a_badly_ended_or_endless_line_ends_the_session() {
    let server = SmtpServer::start(options(Security::Plain)).await;
    for bad in ["NOOP\nNOOP".to_owned(), "x".repeat(2_000)] {
        assert!(greeted(&server).await.say(&bad).await.starts_with("500"));
    }
    let mut client = greeted(&server).await;
    for wrong in ["RCPT TO:<a@example.org>", "DATA", "MAIL FROM:nobody", "VRFY a"] {
        assert!(client.say(wrong).await.starts_with('5'), "{wrong}");
    }
}

#[tokio::test]
#[should_panic(expected = "0 mails within")]
async fn waiting_for_a_mail_that_does_not_come_fails_at_the_deadline() {
    let server = SmtpServer::start(options(Security::Plain)).await;
    server
        .wait_for(|mails| !mails.is_empty(), Duration::from_millis(20))
        .await;
}
