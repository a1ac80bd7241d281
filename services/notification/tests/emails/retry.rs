//! An operator retries a delivery (N5).

use carepost_proto::{
    eligibility::v1::AccountStatus,
    notification::v1::{AttemptOutcome, DeliveryState, RetryDeliveryRequest, SuppressionReason},
};
use carepost_testkit::smtp::{Behaviour, Security};
use tonic::{Code, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::{
    parts::{Column, on_both},
    stub::active,
    support::{Credentials, World},
};

async fn world(column: Column, hint: &str) -> World {
    let world = World::new(column, hint, Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    world
}

fn reason(status: &Status) -> (Code, String) {
    (status.code(), status.get_details_error_info().unwrap().reason)
}

on_both!(n5_what_failed_is_tried_anew_and_what_was_sent_is_not);
async fn n5_what_failed_is_tried_anew_and_what_was_sent_is_not(column: Column) {
    let world = world(column, "retry").await;
    world
        .smtp
        .script(|_, _| Behaviour::RefuseRecipient(550, "5.1.1 no such user".into()));
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let failed = service.wait_for_state(sent.delivery, DeliveryState::Failed).await;
    assert_eq!(failed.retry_time, None);

    world.smtp.script(|_, _| Behaviour::Accept);
    let retried = service.retry(sent.delivery).await.unwrap();
    assert_eq!((retried.state(), retried.last_code), (DeliveryState::Retrying, 550));
    assert!(retried.retry_time.is_some() && retried.retry_time == retried.next_attempt_time);
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.retry_time), (2, retried.retry_time));

    let refused = service.retry(sent.delivery).await.unwrap_err();
    assert_eq!(reason(&refused), (Code::FailedPrecondition, "DELIVERY_SENT".to_owned()));
    assert_eq!(world.smtp.mails().len(), 1);
    service.stop().await;
    world.clear().await;
}

on_both!(n4_a_retry_asks_again_whether_the_account_is_active);
async fn n4_a_retry_asks_again_whether_the_account_is_active(column: Column) {
    let world = world(column, "retry_suppressed").await;
    let mut invited = active("one@home.example");
    invited.status = AccountStatus::Invited.into();
    world.eligibility.put("southern", "one", invited);
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Suppressed).await;
    let retried = service.retry(sent.delivery).await.unwrap();
    assert_eq!(retried.suppression_reason(), SuppressionReason::Unspecified);
    let again = service
        .wait_for(sent.delivery, "suppressed again", |delivery| {
            delivery.state() == DeliveryState::Suppressed && delivery.attempt_count == 2
        })
        .await;
    assert_eq!(again.suppression_reason(), SuppressionReason::AccountNotActive);
    assert!(world.smtp.mails().is_empty());

    world.eligibility.put("southern", "one", active("one@home.example"));
    service.retry(sent.delivery).await.unwrap();
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    let attempts = service.attempts(sent.delivery).await;
    let outcomes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome()).collect();
    let suppressed = AttemptOutcome::Suppressed;
    assert_eq!(outcomes, [suppressed, suppressed, AttemptOutcome::Accepted]);
    service.stop().await;
    world.clear().await;
}

on_both!(only_who_may_write_retries_and_only_what_is_theirs);
async fn only_who_may_write_retries_and_only_what_is_theirs(column: Column) {
    let world = world(column, "retry_refused").await;
    let service = world.serve().await;
    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    let request = |id: &str| RetryDeliveryRequest {
        delivery_id: id.to_owned(),
    };
    let id = sent.delivery.to_string();
    let foreign = service.client("prairie").retry_delivery(request(&id)).await;
    assert_eq!(reason(&foreign.unwrap_err()), (Code::NotFound, "NOT_FOUND".to_owned()));
    let unknown = service.retry(Uuid::nil()).await.unwrap_err();
    assert_eq!(reason(&unknown), (Code::NotFound, "NOT_FOUND".to_owned()));
    let malformed = service.client("southern").retry_delivery(request("x")).await;
    assert_eq!(
        reason(&malformed.unwrap_err()),
        (Code::InvalidArgument, "INVALID_REQUEST".to_owned())
    );
    let mut reader = service.client_of(Credentials {
        token: world.issuer.service("reader"),
        organization: Some("southern".to_owned()),
        act_as: None,
    });
    let refused = reader.retry_delivery(request(&id)).await.unwrap_err();
    assert_eq!(reason(&refused), (Code::PermissionDenied, "SCOPE_MISSING".to_owned()));
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_delivery_whose_outcome_stays_unknown_is_given_up_until_it_is_retried() {
    let world = world(Column::Embedded, "given_up").await;
    world.smtp.script(|_, _| Behaviour::DropAfterData);
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let failed = service.wait_for_state(sent.delivery, DeliveryState::Failed).await;
    assert_eq!((failed.attempt_count, failed.unknown_outcome_count), (20, 20));
    // Every one of them may have been an email: here they were.
    assert_eq!(world.smtp.mails().len(), 20);

    world.smtp.script(|_, _| Behaviour::Accept);
    service.retry(sent.delivery).await.unwrap();
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (21, 20));
    service.stop().await;
    world.clear().await;
}
