//! A mail server that is not ours: Debian's postfix.

use carepost_proto::notification::v1::{AttemptOutcome, Delivery, DeliveryState};
use carepost_testkit::{
    postfix::PostfixServer,
    smtp::{Certificate, Security},
};
use uuid::Uuid;

use crate::{
    parts::Column,
    stub::active,
    support::{PATIENCE, Service, World},
};

const ADDRESS: &str = "guardian@example.org";

async fn world(hint: &str) -> World {
    let world = World::new(Column::Embedded, hint, Security::Plain).await;
    world.eligibility.put("southern", "one", active(ADDRESS));
    world
}

/// The service against postfix, whose authority is this one. Postfix takes its time: more than the other server.
async fn serve(world: &World, url: &str, ca_pem: &str, login: &str) -> Service {
    std::fs::write(world.file("ca.pem"), ca_pem).unwrap();
    let ca_file = world.file("ca.pem");
    world
        .serve_with(&format!("url = \"{url}\"\nca_file = {ca_file:?}\n{login}"))
        .await
}

async fn sent(world: &World, service: &Service) -> Delivery {
    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await
}

fn login(password: &str) -> String {
    format!("username = \"{}\"\npassword = \"{password}\"", PostfixServer::USERNAME)
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_takes_emails_over_every_kind_of_tls_and_with_a_login() {
    let postfix = PostfixServer::start().await;
    let at = postfix.addresses();
    for (url, login) in [
        (
            format!("smtp+starttls://localhost:{}", at.starttls.port()),
            String::new(),
        ),
        (format!("smtps://{}", at.tls), String::new()),
        (
            format!("smtp+starttls://localhost:{}", at.login.port()),
            login(PostfixServer::PASSWORD),
        ),
    ] {
        let world = world("postfix").await;
        let service = serve(&world, &url, postfix.ca_pem(), &login).await;
        for _ in 0..2 {
            let done = sent(&world, &service).await;
            assert_eq!(
                (done.attempt_count, done.unknown_outcome_count, done.last_code),
                (1, 0, 250),
                "{url}"
            );
            postfix.wait_until_delivered(PATIENCE).await;
            let id = format!("Message-ID: <{}@southern.example>", done.id);
            let mails = postfix.mails_to(ADDRESS);
            let of_it: Vec<_> = mails
                .iter()
                .filter(|mail| mail.lines().any(|line| line == id))
                .collect();
            assert_eq!(of_it.len(), 1, "{url}");
            assert!(
                of_it[0].contains("ESMTPS") && of_it[0].contains("Auto-Submitted: auto-generated"),
                "{url}"
            );
        }
        service.stop().await;
        world.clear().await;
    }
    assert_eq!(postfix.mails().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_postfix_gets_nothing_from_us_unless_it_is_who_it_should_be_and_we_are() {
    let other = Certificate::generate();
    let postfix = PostfixServer::start_as(&["localhost"]).await;
    let at = postfix.addresses();
    let own = postfix.ca_pem();
    for (url, ca_pem, login, code, told) in [
        (
            format!("smtps://localhost:{}", at.tls.port()),
            other.ca_pem(),
            String::new(),
            0,
            "certificate",
        ),
        (
            format!("smtp+starttls://localhost:{}", at.starttls.port()),
            other.ca_pem(),
            String::new(),
            0,
            "certificate",
        ),
        // Its certificate is for another name.
        (format!("smtps://{}", at.tls), own, String::new(), 0, "certificate"),
        (
            format!("smtp+starttls://{}", at.starttls),
            own,
            String::new(),
            0,
            "certificate",
        ),
        (
            format!("smtp+starttls://localhost:{}", at.login.port()),
            own,
            login("another"),
            535,
            "authentication failed",
        ),
        (
            format!("smtp+starttls://localhost:{}", at.login.port()),
            own,
            String::new(),
            554,
            "Access denied",
        ),
    ] {
        let world = world("postfix_refused").await;
        let service = serve(&world, &url, ca_pem, &login).await;
        let sent = world.publish(&["portal/one"]).await;
        let settled = service
            .wait_for(sent.delivery, "settled or waiting", |delivery| {
                [DeliveryState::Retrying, DeliveryState::Failed].contains(&delivery.state())
            })
            .await;
        assert_eq!(
            (settled.last_code, settled.unknown_outcome_count),
            (code, 0),
            "{url}: {settled:?}"
        );
        assert!(settled.last_answer.contains(told), "{url}: {}", settled.last_answer);
        // What is wrong with the connection is put right some time, also where postfix says so only to the recipient's
        // address: to a client that has not logged in.
        assert_eq!(settled.state(), DeliveryState::Retrying, "{url}");
        service.stop().await;
        world.clear().await;
    }
    postfix.wait_until_delivered(PATIENCE).await;
    assert_eq!(postfix.mails(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_of_three_recipients_postfix_takes_one_puts_one_off_and_refuses_one() {
    let postfix = PostfixServer::start().await;
    let world = world("postfix_three").await;
    world
        .eligibility
        .put("southern", "two", active(PostfixServer::GREYLISTED));
    world
        .eligibility
        .put("southern", "three", active(PostfixServer::REFUSED));
    let url = format!("smtps://{}", postfix.addresses().tls);
    let service = serve(&world, &url, postfix.ca_pem(), "").await;
    let sent = world.publish(&["portal/one", "portal/two", "portal/three"]).await;
    for (recipient, state, outcomes) in [
        (
            "portal/one",
            DeliveryState::Sent,
            &[(AttemptOutcome::Accepted, 250)][..],
        ),
        (
            "portal/two",
            DeliveryState::Sent,
            &[(AttemptOutcome::Postponed, 450), (AttemptOutcome::Accepted, 250)],
        ),
        ("portal/three", DeliveryState::Failed, &[(AttemptOutcome::Refused, 550)]),
    ] {
        let id = Uuid::new_v5(&sent.event.id, recipient.as_bytes());
        let done = service.wait_for_state(id, state).await;
        let attempts = service.attempts(id).await;
        let found: Vec<_> = attempts
            .iter()
            .map(|attempt| (attempt.outcome(), attempt.code))
            .collect();
        assert_eq!(found, outcomes, "{recipient}");
        assert!(!done.last_answer.contains("example.org"), "{}", done.last_answer);
    }
    postfix.wait_until_delivered(PATIENCE).await;
    let counts = [ADDRESS, PostfixServer::GREYLISTED, PostfixServer::REFUSED].map(|to| postfix.mails_to(to).len());
    assert_eq!((counts, postfix.mails().len()), ([1, 1, 0], 2));
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postfix_delivers_to_a_mailbox_of_another_script() {
    let postfix = PostfixServer::start().await;
    let world = world("postfix_utf8").await;
    world
        .eligibility
        .put("southern", "one", active("lucía.ñandú@example.org"));
    let url = format!("smtps://{}", postfix.addresses().tls);
    let service = serve(&world, &url, postfix.ca_pem(), "").await;
    let done = sent(&world, &service).await;
    assert_eq!((done.attempt_count, done.last_code), (1, 250));
    let mails = postfix.wait_for_mail("lucía.ñandú@example.org", PATIENCE).await;
    assert_eq!(mails.len(), 1);
    assert!(mails[0].contains("\nTo: lucía.ñandú@example.org\n") && mails[0].contains("with UTF8SMTPS"));
    service.stop().await;
    world.clear().await;
}
