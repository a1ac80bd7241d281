//! What a mail server can do to an email, and what the ledger says of it.

use carepost_proto::{
    eligibility::v1::AccountStatus,
    notification::v1::{DeliveryState, SuppressionReason},
};
use carepost_testkit::smtp::{Behaviour, Security};

use crate::{
    parts::{Column, on_both},
    stub::active,
    support::{PATIENCE, World},
};

const ADDRESS: &str = "one@home.example";

async fn world(column: Column, hint: &str) -> World {
    let world = World::new(column, hint, Security::Plain).await;
    world.eligibility.put("southern", "one", active(ADDRESS));
    world
}

/// Accepts all but the first attempt.
fn first(behaviour: Behaviour) -> impl Fn(&str, u32) -> Behaviour {
    move |_, attempt| {
        if attempt == 1 {
            behaviour.clone()
        } else {
            Behaviour::Accept
        }
    }
}

on_both!(n3_a_temporary_refusal_is_tried_again);
async fn n3_a_temporary_refusal_is_tried_again(column: Column) {
    let world = world(column, "temporary").await;
    world.smtp.script(first(Behaviour::RefuseRecipient(
        451,
        format!("4.7.1 <{ADDRESS}> greylisted"),
    )));
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let waiting = service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
    assert_eq!(
        (waiting.last_code, waiting.last_answer.as_str()),
        (451, "4.7.1 [address] greylisted")
    );
    assert!(waiting.next_attempt_time.is_some());
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!(
        (done.attempt_count, done.unknown_outcome_count, done.last_code),
        (2, 0, 250)
    );
    assert_eq!(world.smtp.mails().len(), 1);
    service.stop().await;
    world.clear().await;
}

on_both!(n3_a_refusal_for_the_want_of_a_login_fails_nobodys_email);
async fn n3_a_refusal_for_the_want_of_a_login_fails_nobodys_email(column: Column) {
    let world = world(column, "relay").await;
    let text = format!("5.7.1 <{ADDRESS}>: Relay access denied");
    world.smtp.script(first(Behaviour::RefuseRecipient(554, text)));
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (2, 0));
    assert_eq!(world.smtp.mails().len(), 1);
    service.stop().await;
    world.clear().await;
}

on_both!(n3_a_permanent_refusal_is_recorded_and_final);
async fn n3_a_permanent_refusal_is_recorded_and_final(column: Column) {
    let world = world(column, "permanent").await;
    world
        .smtp
        .script(|_, _| Behaviour::RefuseData(554, "5.7.1 one@home.example wants no mail, one".into()));
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let failed = service.wait_for_state(sent.delivery, DeliveryState::Failed).await;
    assert_eq!((failed.attempt_count, failed.last_code), (1, 554));
    assert_eq!(failed.last_answer, "5.7.1 [address] wants no mail, [address]");
    assert_eq!(failed.next_attempt_time, None);
    // The same connection serves the next email.
    world.smtp.script(|_, _| Behaviour::Accept);
    let next = world.publish(&["portal/one"]).await;
    service.wait_for_state(next.delivery, DeliveryState::Sent).await;
    assert_eq!((world.smtp.mails().len(), world.smtp.connections()), (1, 1));
    service.stop().await;
    world.clear().await;
}

on_both!(n3_an_unknown_outcome_is_counted_and_sent_again_with_the_same_message_id);
async fn n3_an_unknown_outcome_is_counted_and_sent_again_with_the_same_message_id(column: Column) {
    for behaviour in [Behaviour::DropAfterData, Behaviour::Hang] {
        let world = world(column, "unknown").await;
        world.smtp.script(first(behaviour));
        let service = world.serve_by_smtp().await;
        let sent = world.publish(&["portal/one"]).await;
        let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
        assert_eq!((done.attempt_count, done.unknown_outcome_count), (2, 1));
        let mails = world.smtp.mails();
        assert_eq!(mails.len(), 2);
        assert!(!mails[0].acknowledged && mails[1].acknowledged);
        assert_eq!(
            mails[0].message_id,
            Some(format!("<{}@southern.example>", sent.delivery))
        );
        assert_eq!(mails[0].message_id, mails[1].message_id);
        service.stop().await;
        world.clear().await;
    }
}

on_both!(n3_an_attempt_that_died_is_counted_and_made_again_after_its_lease);
async fn n3_an_attempt_that_died_is_counted_and_made_again_after_its_lease(column: Column) {
    let world = world(column, "died").await;
    world.smtp.script(first(Behaviour::Hang));
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    world.smtp.wait_for(|mails| mails.len() == 1, PATIENCE).await;
    service.kill().await;

    let service = world.serve_by_smtp().await;
    let died = service.delivery(sent.delivery).await.unwrap();
    assert_eq!(
        (died.state(), died.attempt_count, died.unknown_outcome_count),
        (DeliveryState::Sending, 1, 0)
    );
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (2, 1));
    let mails = world.smtp.mails();
    assert_eq!((mails.len(), &mails[0].message_id), (2, &mails[1].message_id));
    service.stop().await;
    world.clear().await;
}

on_both!(attempts_under_way_are_finished_and_recorded_when_the_process_stops);
async fn attempts_under_way_are_finished_and_recorded_when_the_process_stops(column: Column) {
    let world = world(column, "stop").await;
    world.smtp.script(first(Behaviour::Hang));
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    world.smtp.wait_for(|mails| mails.len() == 1, PATIENCE).await;
    service.stop().await;

    // Seen before the lease can have ended: it was recorded by the one who stopped.
    let service = world.serve_by_smtp().await;
    let found = service.delivery(sent.delivery).await.unwrap();
    assert_eq!(found.unknown_outcome_count, 1);
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (2, 1));
    service.stop().await;
    world.clear().await;
}

on_both!(n4_an_account_that_is_no_longer_active_gets_nothing);
async fn n4_an_account_that_is_no_longer_active_gets_nothing(column: Column) {
    let world = world(column, "suppressed").await;
    world
        .smtp
        .script(|_, _| Behaviour::RefuseRecipient(450, "later".into()));
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
    let mut disabled = active(ADDRESS);
    disabled.status = AccountStatus::Disabled.into();
    world.eligibility.put("southern", "one", disabled);
    world.smtp.script(|_, _| Behaviour::Accept);
    let suppressed = service.wait_for_state(sent.delivery, DeliveryState::Suppressed).await;
    assert_eq!(suppressed.suppression_reason(), SuppressionReason::AccountNotActive);
    assert_eq!((suppressed.next_attempt_time, suppressed.last_code), (None, 450));

    let unknown = world.publish(&["portal/ghost"]).await;
    let suppressed = service
        .wait_for_state(unknown.delivery, DeliveryState::Suppressed)
        .await;
    assert_eq!(suppressed.suppression_reason(), SuppressionReason::UnknownPortalUser);
    assert!(world.smtp.mails().is_empty());
    service.stop().await;
    world.clear().await;
}
