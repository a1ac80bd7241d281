//! An operator's retry.

use super::*;

on_both!(n5_a_retry_begins_anew_and_counts_anew);
async fn n5_a_retry_begins_anew_and_counts_anew(column: Column) {
    let ledger = Ledger::new(column, "anew").await;
    ledger.record(1).await;
    let first = ledger.claim(1, 5, &[]).await.remove(0);
    assert_eq!((first.attempts_since_start, first.unknown_since_start), (1, 0));
    // While it is being tried, it is left alone.
    let (step, left) = ledger.store.retry(ledger.write(2), first.id).await.unwrap().unwrap();
    assert_eq!(
        (step, left.next_attempt_at, left.updated_at),
        (Retry::Leave, Some(at(11)), at(1))
    );
    let unknown = failed(AttemptOutcome::Unknown);
    assert!(ledger.store.finish(ledger.write(3), &first, &unknown).await.unwrap());

    let (step, retried) = ledger.store.retry(ledger.write(4), first.id).await.unwrap().unwrap();
    assert_eq!((step, retried.state), (Retry::Anew, DeliveryState::Retrying));
    assert_eq!(
        (retried.retried_at, retried.next_attempt_at),
        (Some(at(4)), Some(at(4)))
    );
    assert_eq!((retried.attempt_count, retried.unknown_outcome_count), (1, 1));
    let second = ledger.claim(5, 5, &[]).await.remove(0);
    assert_eq!(
        (
            second.attempt_count,
            second.attempts_since_start,
            second.unknown_since_start
        ),
        (2, 1, 0)
    );
    assert_eq!(second.started_at, at(4));
    assert!(ledger.store.finish(ledger.write(6), &second, &sent()).await.unwrap());
    let (step, done) = ledger.store.retry(ledger.write(7), first.id).await.unwrap().unwrap();
    assert_eq!(
        (step, done.state, done.updated_at),
        (Retry::Refuse, DeliveryState::Sent, at(6))
    );
    assert_eq!(ledger.claim(1_000, 5, &[]).await, []);
    assert_eq!(ledger.store.retry(ledger.write(8), Uuid::nil()).await.unwrap(), None);
    ledger.clear().await;
}

on_both!(n5_a_retry_of_what_waits_is_due_at_once);
async fn n5_a_retry_of_what_waits_is_due_at_once(column: Column) {
    let ledger = Ledger::new(column, "waits").await;
    ledger.record(1).await;
    let first = ledger.claim(1, 5, &[]).await.remove(0);
    let later = Settled {
        state: DeliveryState::Retrying,
        next_attempt_at: Some(at(100)),
        outcome: AttemptOutcome::Postponed,
        ..sent()
    };
    ledger.store.finish(ledger.write(2), &first, &later).await.unwrap();
    assert_eq!(ledger.claim(3, 5, &[]).await, []);
    for seconds in [4, 5] {
        let (step, waits) = ledger
            .store
            .retry(ledger.write(seconds), first.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (step, waits.state, waits.retried_at),
            (Retry::Now, DeliveryState::Retrying, None)
        );
        assert_eq!(waits.next_attempt_at, Some(at(seconds)));
    }
    let second = ledger.claim(5, 5, &[]).await.remove(0);
    assert_eq!((second.attempt_count, second.attempts_since_start), (2, 2));
    ledger.clear().await;
}
