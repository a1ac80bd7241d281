//! An email goes out, once.

use carepost_proto::{
    eligibility::v1::Brand,
    notification::v1::{DeliveryState, ListDeliveriesRequest},
};
use carepost_testkit::smtp::Security;

use crate::{
    parts::{Column, on_both},
    stub::active,
    support::{PATIENCE, World},
};

on_both!(n3_an_event_that_comes_three_times_makes_one_delivery_and_one_email);
async fn n3_an_event_that_comes_three_times_makes_one_delivery_and_one_email(column: Column) {
    let world = World::new(column, "three", Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    world.eligibility.put("southern", "two", active("two@home.example"));
    // One after the other: when the last event has been handled, those before it have been too.
    let service = world
        .serve_with(&format!("{}\n[inbox]\nconcurrency = 1", world.mail()))
        .await;
    let sent = world.publish(&["portal/one", "staff/doctor"]).await;
    world.publish_event(&sent.event).await;
    world.publish_event(&sent.event).await;
    let last = world.publish(&["portal/two"]).await;
    service.wait_for_state(last.delivery, DeliveryState::Sent).await;

    let delivery = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!(
        (
            delivery.attempt_count,
            delivery.unknown_outcome_count,
            delivery.last_code
        ),
        (1, 0, if column == Column::Real { 250 } else { 0 })
    );
    assert_eq!(
        (delivery.recipient.as_str(), delivery.next_attempt_time),
        ("portal/one", None)
    );
    assert_eq!(delivery.message_id, sent.message_id.to_string());
    let mut to: Vec<_> = world.mails().into_iter().flat_map(|mail| mail.to).collect();
    to.sort();
    assert_eq!(to, ["one@home.example", "two@home.example"]);
    assert_eq!(service.list(ListDeliveriesRequest::default()).await.deliveries.len(), 2);
    service.stop().await;
    world.clear().await;
}

on_both!(n1_an_email_says_brand_and_link_and_nothing_else);
async fn n1_an_email_says_brand_and_link_and_nothing_else(column: Column) {
    let world = World::new(column, "text", Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    let service = world.serve().await;
    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    let mails = world.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    let header = |name: &str| mail.header(name).unwrap();
    assert_eq!(
        (mail.from.as_str(), mail.to.as_slice()),
        ("no-reply@southern.example", &["one@home.example".to_owned()][..])
    );
    assert_eq!(header("From"), "\"Southern Clinics\" <no-reply@southern.example>");
    assert_eq!(header("Subject"), "New message in your Southern Clinics portal account");
    assert_eq!(header("Message-ID"), format!("<{}@southern.example>", sent.delivery));
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.header("Reply-To"), None);
    assert!(header("Content-Type").starts_with("multipart/alternative;") && header("Date").ends_with(" +0000"));
    assert!(
        mail.data
            .contains("You have a new message in your portal account from Southern Clinics.")
    );
    assert!(mail.data.contains("https://portal.southern.example/inbox"));
    for word in [
        "nurse",
        "chart-1",
        "one\"",
        &sent.message_id.to_string(),
        &sent.event.id.to_string(),
    ] {
        assert!(!mail.data.contains(word), "{word}");
    }
    service.stop().await;
    world.clear().await;
}

on_both!(n1_a_neutral_email_leaves_the_brand_out);
async fn n1_a_neutral_email_leaves_the_brand_out(column: Column) {
    let world = World::new(column, "neutral", Security::Plain).await;
    let mut recipient = active("one@home.example");
    recipient.brand = Some(Brand {
        name: "Hope Recovery".into(),
        neutral: true,
        ..Brand::default()
    });
    world.eligibility.put("southern", "one", recipient);
    let service = world.serve().await;
    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    let mail = world.mails().remove(0);
    assert_eq!(mail.header("From").as_deref(), Some("no-reply@southern.example"));
    assert_eq!(
        mail.header("Subject").as_deref(),
        Some("New message in your portal account")
    );
    assert!(!mail.data.contains("Hope") && !mail.data.contains("Recovery"));
    service.stop().await;
    world.clear().await;
}

#[tokio::test]
async fn many_emails_share_few_connections() {
    let world = World::new(Column::Real, "many", Security::Plain).await;
    for number in 0..40 {
        world.eligibility.put(
            "southern",
            &number.to_string(),
            active(&format!("u{number}@home.example")),
        );
    }
    let service = world
        .serve_with(&format!("{}\nconcurrency = 2", world.mail_url("smtp")))
        .await;
    let recipients: Vec<_> = (0..40).map(|number| format!("portal/{number}")).collect();
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    world.publish(&recipients).await;
    let mut ids: Vec<_> = world
        .smtp
        .wait_for(|mails| mails.len() >= 40, PATIENCE)
        .await
        .into_iter()
        .map(|mail| mail.message_id.unwrap())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 40);
    assert!(
        world.smtp.connections() <= 2,
        "{} connections",
        world.smtp.connections()
    );
    service.stop().await;
    world.clear().await;
}
