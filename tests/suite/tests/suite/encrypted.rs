//! The suite with TLS on every way: between caller and service, among the services, to PostgreSQL, RabbitMQ and the mail
//! server, each certificate verified, and a certificate asked of each caller.

use std::{fs, path::PathBuf};

use carepost_rpc::connect::{self, ClientTls};
use carepost_suite::{Plan, Suite, clients, process::Service, wait::LONG};
use carepost_testkit::{Authority, DirectoryFile, Servers, servers::Parts};
use sea_orm::sqlx::{Connection as _, PgConnection};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
};

use crate::traffic::{PRAIRIE, request_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_and_its_email_travel_encrypted_all_the_way() {
    let servers = Servers::private_parts("tls", Parts::Both).await;
    let plan = Plan {
        tls: true,
        ..Plan::default()
    };
    let suite = Suite::start_on(servers, "tls", plan).await;
    suite.import(&DirectoryFile::prairie()).await;
    let started = carepost_proto::messaging::v1::StartConversationRequest {
        request_id: request_id(),
        recipients: vec![PRAIRIE.portal_user.to_owned()],
        chart_id: Some(PRAIRIE.chart.to_owned()),
        subject: String::new(),
        body: "Encrypted all the way.".to_owned(),
    };
    let mut staff = suite.person("prairie", PRAIRIE.staff);
    staff.start_conversation(started).await.unwrap();
    let mails = suite.smtp.wait_for(|mails| !mails.is_empty(), LONG).await;
    assert_eq!(mails.len(), 1, "{}", suite.logs());

    // Who has no certificate, or one of another authority, or speaks in the clear, gets no answer.
    let ca_file = suite.tls.as_ref().and_then(|tls| tls.ca_file.clone());
    let stranger = ClientTls {
        identity: Some(of_another_authority(&suite)),
        ca_file: ca_file.clone(),
    };
    for service in Service::ALL {
        let nobody = ClientTls {
            ca_file: ca_file.clone(),
            identity: None,
        };
        let url = suite.url(service).parse().unwrap();
        assert!(!clients::serves(connect::channel(&url, &nobody).unwrap()).await);
        assert!(!clients::is_ready(suite.address(service)).await);
        assert!(!clients::serves(connect::channel(&url, &stranger).unwrap()).await);
        assert!(clients::serves(suite.channel(service)).await);
    }

    // The database's certificate is looked at, too: another authority, or another name, and there is no connection.
    let url = suite.servers.postgres_tls_url("postgres");
    assert!(PgConnection::connect(&url).await.is_ok());
    let authority = ca_file.unwrap().display().to_string();
    let trusted = suite.servers.ca_file().display().to_string();
    for wrong in [
        url.replace(&trusted, &authority),
        url.replace(&host(&url), &under_another_name(&host(&url)).await),
    ] {
        let refused = PgConnection::connect(&wrong).await;
        let because = refused.expect_err("it is not whom it should be");
        assert!(format!("{because:?}").contains("InvalidCertificate"), "{because:?}");
    }
}

/// Host and port of a database.
fn host(url: &str) -> String {
    let rest = url.split_once('@').unwrap().1;
    rest.split(['/', '?']).next().unwrap().to_owned()
}

/// The same server under a name that its certificate does not have.
async fn under_another_name(server: &str) -> String {
    let (server, listener) = (server.to_owned(), TcpListener::bind("127.0.0.2:0").await.unwrap());
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut near, _) = listener.accept().await.unwrap();
        let mut far = TcpStream::connect(server).await.unwrap();
        copy_bidirectional(&mut near, &mut far).await
    });
    address
}

/// The same name as a good caller's, and a key that fits, but signed by somebody else.
fn of_another_authority(suite: &Suite) -> (PathBuf, PathBuf) {
    let (certificate, key) = Authority::generate().sign(&["caller"]);
    let (pem, private) = (suite.file("stranger.pem"), suite.file("stranger.key"));
    fs::write(&pem, certificate).unwrap();
    fs::write(&private, key).unwrap();
    (pem, private)
}
