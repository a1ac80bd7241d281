//! The attempts at a delivery, one by one (N5), and the time filter of the list.

use carepost_proto::notification::v1::{Attempt, AttemptOutcome, DeliveryState, ListDeliveriesRequest};
use carepost_testkit::smtp::{Behaviour, Security};
use prost_types::Timestamp;

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

fn outcomes(attempts: &[Attempt]) -> Vec<(i32, AttemptOutcome, i32)> {
    attempts
        .iter()
        .map(|attempt| (attempt.number, attempt.outcome(), attempt.code))
        .collect()
}

on_both!(n5_every_attempt_is_kept_with_its_times_and_the_answer);
async fn n5_every_attempt_is_kept_with_its_times_and_the_answer(column: Column) {
    let world = world(column, "attempts").await;
    world.smtp.script(|_, attempt| match attempt {
        1 => Behaviour::RefuseRecipient(451, format!("4.7.1 <{ADDRESS}> greylisted")),
        2 => Behaviour::DropAfterData,
        _ => Behaviour::Accept,
    });
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    let attempts = service.attempts(sent.delivery).await;
    assert_eq!(
        outcomes(&attempts),
        [
            (1, AttemptOutcome::Postponed, 451),
            (2, AttemptOutcome::Unknown, 0),
            (3, AttemptOutcome::Accepted, 250)
        ]
    );
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (3, 1));
    assert_eq!(attempts[0].answer, "4.7.1 [address] greylisted");
    assert_eq!(attempts[2].answer, done.last_answer);
    let times: Vec<_> = attempts
        .iter()
        .flat_map(|attempt| [attempt.begin_time.unwrap(), attempt.end_time.unwrap()])
        .map(|time| (time.seconds, time.nanos))
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    service.stop().await;
    world.clear().await;
}

on_both!(n3_an_attempt_that_died_has_no_end_and_an_unknown_outcome);
async fn n3_an_attempt_that_died_has_no_end_and_an_unknown_outcome(column: Column) {
    let world = world(column, "dead_attempt").await;
    world.smtp.script(|_, attempt| match attempt {
        1 => Behaviour::Hang,
        _ => Behaviour::Accept,
    });
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    world.smtp.wait_for(|mails| mails.len() == 1, PATIENCE).await;
    service.kill().await;
    let service = world.serve_by_smtp().await;
    let attempts = service.attempts(sent.delivery).await;
    assert_eq!(outcomes(&attempts), [(1, AttemptOutcome::UnderWay, 0)]);
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    let attempts = service.attempts(sent.delivery).await;
    assert_eq!(
        outcomes(&attempts),
        [(1, AttemptOutcome::Unknown, 0), (2, AttemptOutcome::Accepted, 250)]
    );
    assert_eq!(attempts[0].end_time, None);
    assert!(attempts[0].answer.contains("died"), "{}", attempts[0].answer);
    service.stop().await;
    world.clear().await;
}

on_both!(n5_deliveries_are_found_by_the_time_of_their_event);
async fn n5_deliveries_are_found_by_the_time_of_their_event(column: Column) {
    let world = world(column, "times").await;
    let service = world.serve().await;
    let mut times = Vec::new();
    for _ in 0..3 {
        let sent = world.publish(&["portal/one"]).await;
        let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
        times.push(done.create_time.unwrap());
    }
    let listed = async |create_time_from, create_time_to| {
        let request = ListDeliveriesRequest {
            create_time_from,
            create_time_to,
            ..ListDeliveriesRequest::default()
        };
        let found = service.list(request).await.deliveries;
        found
            .into_iter()
            .map(|one| one.create_time.unwrap())
            .collect::<Vec<_>>()
    };
    let newest_first: Vec<Timestamp> = times.iter().rev().copied().collect();
    assert_eq!(listed(None, None).await, newest_first);
    // From a time on, and before a time.
    assert_eq!(listed(Some(times[1]), None).await, newest_first[..2]);
    assert_eq!(listed(None, Some(times[1])).await, newest_first[2..]);
    assert_eq!(listed(Some(times[1]), Some(times[2])).await, [times[1]]);
    service.stop().await;
    world.clear().await;
}
