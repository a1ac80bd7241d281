//! Who we are to the mail server (RFC 4954).

use carepost_proto::notification::v1::DeliveryState;
use carepost_testkit::smtp::{Conduct, Features, Login, Mechanism, Security, Stage};

use crate::{
    parts::Column,
    stub::active,
    support::{Service, World},
};

const PASSWORD: &str = "pass wörd\u{1f511}";

/// A server that wants a login, over TLS by STARTTLS.
async fn world(hint: &str, mechanism: Mechanism) -> World {
    let world = World::new(Column::Embedded, hint, Security::StartTls).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    let login = Login {
        mechanism,
        username: "carepost".to_owned(),
        password: PASSWORD.to_owned(),
    };
    world.smtp.offer(Features {
        login: Some(login),
        ..Features::default()
    });
    world
}

async fn serve(world: &World, password: &str) -> Service {
    let url = world.mail_url("smtp+starttls");
    world
        .serve_with(&format!("{url}\nusername = \"carepost\"\npassword = \"{password}\""))
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_login_gets_it_in_the_way_that_it_offers() {
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        let world = world("login", mechanism).await;
        let service = serve(&world, PASSWORD).await;
        for _ in 0..2 {
            let sent = world.publish(&["portal/one"]).await;
            let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
            assert_eq!((done.attempt_count, done.last_code), (1, 250));
        }
        // A login lasts as long as its connection.
        assert_eq!((world.smtp.mails().len(), world.smtp.connections()), (2, 1));
        service.stop().await;
        world.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_wrong_password_is_our_fault_and_fails_no_email() {
    for mechanism in [Mechanism::Plain, Mechanism::Login] {
        let world = world("wrong_password", mechanism).await;
        let service = serve(&world, "another").await;
        let sent = world.publish(&["portal/one"]).await;
        let waiting = service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
        assert_eq!((waiting.last_code, waiting.unknown_outcome_count), (535, 0));
        assert_eq!(waiting.last_answer, "5.7.8 no such user, or another password");
        service.stop().await;
        assert!(world.smtp.mails().is_empty());
        // Once it is put right, the email goes out.
        let service = serve(&world, PASSWORD).await;
        let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
        assert_eq!(done.unknown_outcome_count, 0);
        assert_eq!(world.smtp.mails().len(), 1);
        service.stop().await;
        world.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_server_that_wants_no_login_or_another_one_than_ours_is_waited_for() {
    // It wants one, and we have none.
    let world = world("no_login", Mechanism::Plain).await;
    let service = world.serve_with(&world.mail_url("smtp+starttls")).await;
    let sent = world.publish(&["portal/one"]).await;
    let waiting = service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
    assert_eq!(
        (waiting.last_code, waiting.last_answer.as_str()),
        (530, "5.7.0 log in first")
    );
    service.stop().await;
    // We have one, and it offers no way to give it: we do not send without.
    world.smtp.offer(Features::default());
    let service = serve(&world, PASSWORD).await;
    let waiting = service
        .wait_for(sent.delivery, "without a way to log in", |delivery| {
            delivery.state() == DeliveryState::Retrying && delivery.last_code == 0
        })
        .await;
    assert!(
        waiting.last_answer.contains("authentication"),
        "{}",
        waiting.last_answer
    );
    assert!(world.smtp.mails().is_empty() && waiting.unknown_outcome_count == 0);
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_server_that_fails_at_the_login_has_not_got_the_email() {
    let conducts = [
        (Conduct::Hang(Stage::Login), 0),
        (Conduct::Drop(Stage::Login), 0),
        (Conduct::Refuse(Stage::Login, 454, "4.7.0 try later".to_owned()), 454),
        (Conduct::Refuse(Stage::Login, 421, "4.3.2 going down".to_owned()), 421),
        (Conduct::InPieces, 250),
    ];
    for (conduct, code) in conducts {
        let world = world("at_the_login", Mechanism::Login).await;
        world.smtp.script_connections(move |connection| match connection {
            1 => conduct.clone(),
            _ => Conduct::Usual,
        });
        let service = serve(&world, PASSWORD).await;
        let sent = world.publish(&["portal/one"]).await;
        let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
        let attempts = service.attempts(sent.delivery).await;
        assert_eq!(attempts[0].code, code);
        assert_eq!((done.unknown_outcome_count, world.smtp.mails().len()), (0, 1));
        service.stop().await;
        world.clear().await;
    }
}
