//! What is counted for operators.

use super::*;

on_both!(the_deliveries_that_are_not_over_are_counted_by_state);
async fn the_deliveries_that_are_not_over_are_counted_by_state(column: Column) {
    let ledger = Ledger::new(column, "waiting").await;
    let counts = async || ledger.store.waiting().await.unwrap().counts.map(|(_, count)| count);
    let due = async || ledger.store.waiting().await.unwrap().due;
    // Pending, sending, retrying.
    assert_eq!((counts().await, due().await), ([0, 0, 0], None));
    ledger.record(6).await;
    assert_eq!(due().await, Some(at(0)));
    assert_eq!(counts().await, [6, 0, 0]);
    let claimed = ledger.claim(1, 4, &[]).await;
    assert_eq!(counts().await, [2, 4, 0]);
    let retrying = Settled {
        state: DeliveryState::Retrying,
        next_attempt_at: Some(at(100)),
        ..failed(AttemptOutcome::Postponed)
    };
    for (claimed, settled) in claimed.iter().zip([sent(), retrying, failed(AttemptOutcome::Refused)]) {
        assert!(ledger.store.finish(ledger.write(2), claimed, &settled).await.unwrap());
    }
    assert_eq!(counts().await, [2, 1, 1]);
    ledger.clear().await;
}
