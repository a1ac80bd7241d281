//! The private postfix, as a client and as the machine see it.

use std::collections::HashSet;
use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

const LONG: Duration = Duration::from_secs(30);

type TlsStream = tokio_rustls::client::TlsStream<tokio::net::TcpStream>;

struct Client<S>(BufReader<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// The last line of the next answer.
    async fn answer(&mut self) -> String {
        let mut line = String::new();
        while line.as_bytes().get(3) != Some(&b' ') {
            line.clear();
            let read = timeout(LONG, self.0.read_line(&mut line)).await.unwrap().unwrap();
            assert_ne!(read, 0, "the server has closed");
        }
        line.trim_end().to_owned()
    }

    async fn say(&mut self, line: &str) -> String {
        self.0.write_all(format!("{line}\r\n").as_bytes()).await.unwrap();
        self.answer().await
    }

    async fn recipient(&mut self, to: &str) -> String {
        self.say("RSET").await;
        self.say("MAIL FROM:<no-reply@carepost.example.org>").await;
        self.say(&format!("RCPT TO:<{to}>")).await
    }
}

async fn greeted(address: SocketAddr) -> Client<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let mut client = Client(BufReader::new(stream));
    assert!(client.answer().await.starts_with("220"));
    assert!(client.say("EHLO client.example.org").await.starts_with("250"));
    client
}

async fn secured(server: &PostfixServer) -> Client<TlsStream> {
    secured_at(server, server.address()).await
}

async fn secured_at(server: &PostfixServer, address: SocketAddr) -> Client<TlsStream> {
    let mut plain = greeted(address).await;
    assert!(plain.say("STARTTLS").await.starts_with("220"));
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).unwrap())
        .unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, plain.0.into_inner()).await.unwrap();
    let mut client = Client(BufReader::new(stream));
    assert!(client.say("EHLO client.example.org").await.starts_with("250"));
    client
}

/// Local addresses, in hexadecimal, of all internet sockets of the instance's processes. One that it had accepted has the
/// address that it listens on; one that it had opened would have another.
fn sockets(server: &PostfixServer) -> HashSet<String> {
    let mut inodes = HashSet::new();
    for pid in processes::of(server.folder.path()) {
        for file in fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten() {
            let target = fs::read_link(file.path()).unwrap_or_default();
            let target = target.to_string_lossy().into_owned();
            inodes.extend(
                target
                    .strip_prefix("socket:[")
                    .map(|inode| inode.trim_end_matches(']').to_owned()),
            );
        }
    }
    let tables = ["tcp", "tcp6", "udp", "udp6", "raw", "raw6"];
    let text: String = tables
        .map(|table| fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default())
        .concat();
    let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|fields| fields.get(9).is_some_and(|inode| inodes.contains(*inode)))
        .map(|fields| fields[1].to_owned())
        .collect()
}

#[tokio::test]
async fn mail_for_its_domain_is_taken_by_tls_and_delivered_once() {
    let server = PostfixServer::start().await;
    let mut plain = greeted(server.address()).await;
    assert!(plain.say("MAIL FROM:<a@example.org>").await.starts_with("530"));
    let mut client = secured(&server).await;
    assert!(client.recipient("Guardian@Example.org").await.starts_with("250"));
    assert!(client.say("DATA").await.starts_with("354"));
    let data = "Message-ID: <1@example.org>\r\nX-Original-To: other@example.org\r\n\r\nhello\r\n.";
    assert!(client.say(data).await.starts_with("250"));
    server.wait_until_delivered(LONG).await;
    let mails = server.wait_for_mail("guardian@example.org", LONG).await;
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("\nMessage-ID: <1@example.org>\n") && mails[0].ends_with("\n\nhello\n"));
    // What the sender writes into the headers makes it nobody else's.
    assert_eq!(
        (server.mails().len(), server.mails_to("other@example.org").len()),
        (1, 0)
    );
}

#[tokio::test]
async fn foreign_addresses_and_the_refused_one_are_refused_for_good() {
    let server = PostfixServer::start().await;
    let mut client = secured(&server).await;
    for foreign in ["a@elsewhere.example", "a@sub.example.org", "a@mail.example.org"] {
        let answer = client.recipient(foreign).await;
        assert!(answer.starts_with("554 5.7.1"), "{answer}");
    }
    let answer = client.recipient(PostfixServer::REFUSED).await;
    assert!(
        answer.starts_with("550 5.7.1") && answer.contains(PostfixServer::REFUSED),
        "{answer}"
    );
    server.wait_until_delivered(LONG).await;
    assert_eq!(server.mails(), Vec::<String>::new());
}

#[tokio::test]
async fn it_listens_on_loopback_alone_sends_nothing_out_and_leaves_nothing_behind() {
    let server = PostfixServer::start().await;
    let folder = server.folder.path().to_owned();
    let mut sendmail = Command::new("sh");
    sendmail
        .args([
            "-c",
            "printf 'Subject: out\\n\\nhello\\n' | /usr/sbin/sendmail -C \"$0\" a@elsewhere.example",
        ])
        .arg(folder.join("config"));
    assert!(sendmail.status().unwrap().success());
    let refused = || {
        server
            .log()
            .contains("to=<a@elsewhere.example>, relay=none")
            .then_some(())
    };
    wait("a mail to elsewhere is not refused", LONG, refused).await;
    let Addresses { starttls, tls, login } = server.addresses();
    let only = HashSet::from([starttls, tls, login].map(|address| format!("0100007F:{:04X}", address.port())));
    assert_eq!(sockets(&server), only);
    server.wait_until_delivered(LONG).await;
    assert_eq!((server.mails().len(), sockets(&server)), (0, only));

    assert!(!processes::of(&folder).is_empty());
    let address = server.address();
    drop(server);
    assert_eq!(processes::of(&folder), Vec::<u32>::new());
    assert!(TcpStream::connect(address).is_err());
    assert!(!folder.exists());
}

#[tokio::test]
async fn one_whose_owner_died_is_cleared_away_by_the_next() {
    let server = PostfixServer::start().await;
    let path = server.folder.path().to_owned();
    // A dead owner's lock is released, and nothing is dropped.
    assert!(!processes::of(&path).is_empty());
    server.folder.forget_owner();
    std::mem::forget(server);
    let next = PostfixServer::start().await;
    assert_eq!(processes::of(&path), Vec::<u32>::new());
    assert!(!path.exists() && next.folder.path().exists());
}

#[tokio::test]
async fn nothing_of_it_is_left_when_its_owner_has_died() {
    let mut server = PostfixServer::start().await;
    let path = server.folder.path().to_owned();
    let (address, owner) = (server.address(), path.with_extension("owner"));
    assert!(!processes::of(&path).is_empty() && owner.exists());
    // A dead owner's lock is released and its pipe is closed, and nothing is dropped.
    server.folder.forget_owner();
    server.guard.let_go();
    std::mem::forget(server);
    wait("its owner is dead, and it is left", LONG, || {
        let gone = processes::of(&path).is_empty() && !path.exists() && !owner.exists();
        gone.then_some(())
    })
    .await;
    assert!(TcpStream::connect(address).is_err());
}

#[tokio::test]
async fn who_has_no_login_or_a_wrong_one_may_not_send_where_one_is_wanted() {
    let server = PostfixServer::start().await;
    let right = BASE64_STANDARD.encode(format!("\0{}\0{}", PostfixServer::USERNAME, PostfixServer::PASSWORD));
    let wrong = BASE64_STANDARD.encode(format!("\0{}\0x", PostfixServer::USERNAME));
    let mut client = secured_at(&server, server.addresses().login).await;
    let answer = client.recipient("guardian@example.org").await;
    assert!(answer.starts_with("554 5.7.1"), "{answer}");
    client.say("RSET").await;
    let answer = client.say(&format!("AUTH PLAIN {wrong}")).await;
    assert!(answer.starts_with("535 5.7.8"), "{answer}");
    let answer = client.say(&format!("AUTH PLAIN {right}")).await;
    assert!(answer.starts_with("235 2.7.0"), "{answer}");
    let answer = client.recipient("guardian@example.org").await;
    assert!(answer.starts_with("250 2.1.5"), "{answer}");
}

#[tokio::test]
async fn the_first_mail_to_the_greylisted_address_is_put_off() {
    let server = PostfixServer::start().await;
    let mut client = secured(&server).await;
    let answer = client.recipient(PostfixServer::GREYLISTED).await;
    assert!(answer.starts_with("450 4.2.0"), "{answer}");
    for _ in 0..2 {
        let answer = client.recipient(PostfixServer::GREYLISTED).await;
        assert!(answer.starts_with("250 2.1.5"), "{answer}");
    }
}
