//! What the service needs goes down, and comes back.

use std::sync::Arc;

use carepost_proto::notification::v1::DeliveryState;
use carepost_testkit::smtp::{Behaviour, Security};
use tokio::{runtime::Handle, task::block_in_place};

use crate::{
    parts::{Column, on_both},
    stub::active,
    support::{LEASE, PATIENCE, TIMEOUT, World, eventually},
};

async fn world(column: Column, hint: &str) -> World {
    let world = World::new(column, hint, Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    world
}

on_both!(while_eligibility_is_down_emails_wait_and_no_attempt_counts);
async fn while_eligibility_is_down_emails_wait_and_no_attempt_counts(column: Column) {
    let world = world(column, "eligibility").await;
    world.eligibility_wire.cut().await;
    let service = world.serve().await;
    let sent = world.publish(&["portal/one"]).await;
    // It was claimed, and given back.
    let waiting = service
        .wait_for(sent.delivery, "given back", |delivery| {
            delivery.state() == DeliveryState::Pending && delivery.update_time != delivery.create_time
        })
        .await;
    assert_eq!((waiting.attempt_count, waiting.unknown_outcome_count), (0, 0));
    world.eligibility_wire.heal().await;
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (1, 0));
    assert_eq!(world.mails().len(), 1);
    service.stop().await;
    world.clear().await;
}

on_both!(while_the_mail_server_is_down_it_is_known_that_nothing_was_sent);
async fn while_the_mail_server_is_down_it_is_known_that_nothing_was_sent(column: Column) {
    let world = world(column, "mail-server").await;
    world.smtp.stop().await;
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let waiting = service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
    assert_eq!((waiting.last_code, waiting.unknown_outcome_count), (0, 0));
    assert!(waiting.last_answer.contains("refused"), "{}", waiting.last_answer);
    world.smtp.restart().await;
    world.smtp.refuse_connections(true);
    service
        .wait_for(sent.delivery, "refused at the door", |delivery| {
            delivery.last_code == 421
        })
        .await;
    world.smtp.refuse_connections(false);
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.unknown_outcome_count, world.smtp.mails().len()), (0, 1));
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_falls_silent_holds_nothing_up_for_long() {
    let world = world(Column::Real, "silent").await;
    let service = world.serve().await;
    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    // The connections that there are never answer again: the mailer's among them, and the inbox's.
    world.parts.silence_database();
    let sent = world.publish(&["portal/one"]).await;
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (1, 0));
    assert_eq!(world.mails().len(), 2);
    service.stop().await;
    world.clear().await;
}

on_both!(n3_an_accepted_email_is_recorded_as_sent_after_an_outage_of_the_database);
async fn n3_an_accepted_email_is_recorded_as_sent_after_an_outage_of_the_database(column: Column) {
    let world = Arc::new(world(column, "database").await);
    let (weak, runtime) = (Arc::downgrade(&world), Handle::current());
    // The database goes away between the claim and the mail server's answer.
    world.smtp.script(move |_, _| {
        let world = weak.upgrade().unwrap();
        block_in_place(|| runtime.block_on(world.parts.database_down()));
        Behaviour::Accept
    });
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    world.smtp.wait_for(|mails| mails.len() == 1, PATIENCE).await;
    // Meanwhile another event comes: the consumer waits with it.
    let next = world.publish(&["portal/two"]).await;
    world.smtp.script(|_, _| Behaviour::Accept);
    world.eligibility.put("southern", "two", active("two@home.example"));
    // The outage outlasts the lease, and what a write waits for its turn.
    tokio::time::sleep(LEASE + TIMEOUT).await;
    world.parts.database_up().await;

    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (1, 0));
    service.wait_for_state(next.delivery, DeliveryState::Sent).await;
    eventually("both emails are there, once", || async {
        world.smtp.mails().len() == 2
    })
    .await;
    service.stop().await;
    let Ok(world) = Arc::try_unwrap(world) else {
        panic!("the script is done with it")
    };
    world.clear().await;
}
