//! The connection to the mail server is protected, or there is none.

use carepost_proto::notification::v1::DeliveryState;
use carepost_testkit::smtp::{Certificate, Conduct, Options, Security, SmtpServer, Stage};

use crate::{parts::Column, stub::active, support::World};

async fn world(hint: &str, security: Security) -> World {
    let world = World::new(Column::Embedded, hint, security).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    world
}

#[tokio::test]
async fn emails_go_over_tls_from_a_known_authority() {
    for (security, scheme) in [(Security::StartTls, "smtp+starttls"), (Security::Tls, "smtps")] {
        let world = world("tls", security).await;
        let service = world.serve_with(&world.mail_url(scheme)).await;
        let sent = world.publish(&["portal/one"]).await;
        service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
        assert_eq!(world.smtp.mails().len(), 1);
        service.stop().await;
        world.clear().await;
    }
}

#[tokio::test]
async fn a_server_of_an_unknown_authority_gets_nothing() {
    for (security, scheme) in [(Security::StartTls, "smtp+starttls"), (Security::Tls, "smtps")] {
        let world = world("authority", security).await;
        std::fs::write(world.file("ca.pem"), Certificate::generate().ca_pem()).unwrap();
        let service = world.serve_with(&world.mail_url(scheme)).await;
        let sent = world.publish(&["portal/one"]).await;
        let waiting = service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
        assert_eq!((waiting.last_code, waiting.unknown_outcome_count), (0, 0));
        assert!(waiting.last_answer.contains("certificate"), "{}", waiting.last_answer);
        assert!(world.smtp.mails().is_empty());
        service.stop().await;
        world.clear().await;
    }
}

#[tokio::test]
async fn a_server_of_another_name_or_with_a_certificate_that_has_ended_gets_nothing() {
    for certificate in [
        Certificate::generate_for(&["mail.elsewhere.example"], 2099),
        Certificate::generate_for(&["localhost"], 2020),
    ] {
        for (security, scheme) in [(Security::StartTls, "smtp+starttls"), (Security::Tls, "smtps")] {
            let mut world = world("certificate", security).await;
            let options = Options { port: 0, security };
            world.smtp = SmtpServer::start_as(options, certificate.clone()).await;
            // The authority is trusted: it is the certificate alone that is wrong.
            world.smtp.write_ca(&world.file("ca.pem"));
            let service = world.serve_with(&world.mail_url(scheme)).await;
            let sent = world.publish(&["portal/one"]).await;
            let waiting = service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
            assert_eq!((waiting.last_code, waiting.unknown_outcome_count), (0, 0));
            assert!(waiting.last_answer.contains("certificate"), "{}", waiting.last_answer);
            assert!(world.smtp.mails().is_empty());
            service.stop().await;
            world.clear().await;
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_offer_starttls_gets_nothing() {
    let world = world("downgrade", Security::Plain).await;
    let service = world.serve_with(&world.mail_url("smtp+starttls")).await;
    let sent = world.publish(&["portal/one"]).await;
    let waiting = service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
    assert!(waiting.last_answer.contains("STARTTLS"), "{}", waiting.last_answer);
    assert!(world.smtp.mails().is_empty() && world.smtp.connections() > 0);
    service.stop().await;
    world.clear().await;
}

#[tokio::test]
async fn n3_a_server_that_fails_at_tls_has_not_got_the_email() {
    let refuse = |code| Conduct::Refuse(Stage::Tls, code, "x.7.0 no TLS now".to_owned());
    for (security, scheme, conduct, code) in [
        (Security::StartTls, "smtp+starttls", Conduct::Hang(Stage::Tls), 0),
        (Security::StartTls, "smtp+starttls", Conduct::Drop(Stage::Tls), 0),
        (Security::StartTls, "smtp+starttls", refuse(454), 454),
        (Security::StartTls, "smtp+starttls", refuse(554), 554),
        (Security::StartTls, "smtp+starttls", Conduct::InPieces, 250),
        (Security::Tls, "smtps", Conduct::Hang(Stage::Tls), 0),
        (Security::Tls, "smtps", Conduct::Drop(Stage::Tls), 0),
        (Security::Tls, "smtps", Conduct::InPieces, 250),
    ] {
        let world = world("at_tls", security).await;
        world.smtp.script_connections(move |connection| match connection {
            1 => conduct.clone(),
            _ => Conduct::Usual,
        });
        let service = world.serve_with(&world.mail_url(scheme)).await;
        let sent = world.publish(&["portal/one"]).await;
        let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
        assert_eq!(service.attempts(sent.delivery).await[0].code, code);
        assert_eq!((done.unknown_outcome_count, world.smtp.mails().len()), (0, 1));
        service.stop().await;
        world.clear().await;
    }
}
