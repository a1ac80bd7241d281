//! Addresses that are no address, of another script, or refused.

use carepost_proto::notification::v1::DeliveryState;
use carepost_testkit::smtp::{Features, Security};

use crate::{
    parts::{Column, on_both},
    stub::active,
    support::World,
};

/// What comes of an email to this address: state, last answer, and to whom the server then sent it.
async fn sent_to(world: &World, address: &str) -> (DeliveryState, String, Vec<String>) {
    world.eligibility.put("southern", "one", active(address));
    let before = world.smtp.mails().len();
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let done = service
        .wait_for(sent.delivery, "settled", |delivery| {
            delivery.next_attempt_time.is_none()
        })
        .await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (1, 0), "{done:?}");
    service.stop().await;
    let to = world.smtp.mails().into_iter().skip(before).flat_map(|mail| mail.to);
    (done.state(), done.last_answer, to.collect())
}

on_both!(a_malformed_address_fails_at_once_and_is_not_kept);
async fn a_malformed_address_fails_at_once_and_is_not_kept(column: Column) {
    let world = World::new(column, "malformed", Security::Plain).await;
    for (address, told) in [
        ("", "the recipient has no address"),
        ("nobody at home", "the recipient's address is malformed"),
        (
            "one@home.example,two@home.example",
            "the recipient's address is malformed",
        ),
        (
            "one@home.example\r\nRCPT TO:<two@home.example>",
            "the recipient's address is malformed",
        ),
        ("one@home..example", "the recipient's address is malformed"),
    ] {
        let expected = (DeliveryState::Failed, told.to_owned(), Vec::new());
        assert_eq!(sent_to(&world, address).await, expected, "{address:?}");
    }
    assert_eq!(world.smtp.connections(), 0);
    world.clear().await;
}

on_both!(a_domain_of_another_script_goes_out_as_every_server_knows_it);
async fn a_domain_of_another_script_goes_out_as_every_server_knows_it(column: Column) {
    let world = World::new(column, "punycode", Security::Plain).await;
    let (state, _, to) = sent_to(&world, "guardian@bücher.example").await;
    assert_eq!(state, DeliveryState::Sent);
    assert_eq!(to, ["guardian@xn--bcher-kva.example"]);
    let mail = world.smtp.mails().remove(0);
    assert_eq!(mail.header("To").as_deref(), Some("guardian@xn--bcher-kva.example"));
    assert!(mail.data.is_ascii());
    world.clear().await;
}

on_both!(an_address_of_another_script_is_final_where_the_server_cannot_take_it);
async fn an_address_of_another_script_is_final_where_the_server_cannot_take_it(column: Column) {
    let world = World::new(column, "utf8", Security::Plain).await;
    let address = "jürgen@bücher.example";
    let (state, told, to) = sent_to(&world, address).await;
    assert_eq!((state, to.len()), (DeliveryState::Failed, 0));
    assert_eq!(told, "the mail server takes no address of this kind");

    world.smtp.offer(Features {
        unicode: true,
        ..Features::default()
    });
    let (state, _, to) = sent_to(&world, address).await;
    assert_eq!(
        (state, to),
        (DeliveryState::Sent, vec!["jürgen@xn--bcher-kva.example".to_owned()])
    );
    let mail = world.smtp.mails().remove(0);
    assert_eq!(mail.header("To").as_deref(), Some("jürgen@xn--bcher-kva.example"));
    world.clear().await;
}
