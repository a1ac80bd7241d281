//! What goes along a trail is on disk when it is said to be.

use std::time::Duration;

use carepost_audit::{Occasion, Record, Trail, Unrecorded, Who, Writer, insert};
use carepost_runtime::Clock;
use sea_orm::{ConnectionTrait as _, DbBackend, TransactionTrait as _};
use tokio::{
    task::JoinHandle,
    time::{Instant, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{PRAIRIE, Place, on_both, record, start, until, who};

const LINGER: Duration = Duration::from_secs(5);

fn writing(place: &Place, linger: Duration) -> (Trail, JoinHandle<()>, CancellationToken) {
    let stop = CancellationToken::new();
    let (trail, writer) = Writer::new(place.database.clone(), Clock::system());
    let running = tokio::spawn(writer.run(stop.clone(), linger));
    (trail, running, stop)
}

fn refusal(who: &Who, origin: &str, number: u128) -> Record {
    let occasion = Occasion::call(
        Uuid::from_u128(number),
        "/carepost.Test/Read",
        origin.parse().ok(),
        String::new(),
    );
    Record::new(&occasion, who, start(), [], "PERMISSION_DENIED/SCOPE_MISSING")
}

async fn readings_are_there_when_their_readers_go_on(place: Place) {
    let (trail, running, _stop) = writing(&place, LINGER);
    let readers: Vec<_> = (0..500)
        .map(|number| {
            let trail = trail.clone();
            tokio::spawn(async move { trail.keep(record(PRAIRIE, number)).await })
        })
        .collect();
    for (done, reader) in readers.into_iter().enumerate() {
        assert_eq!(reader.await.unwrap(), Ok(()));
        assert!(place.count("outcome = 'OK'").await > i64::try_from(done).unwrap());
    }
    drop(trail);
    running.await.unwrap();
    assert_eq!(place.count("outcome = 'OK'").await, 500);
}

async fn what_cannot_be_written_is_not_read(place: Place) {
    let (trail, running, _stop) = writing(&place, LINGER);
    trail.keep(record(PRAIRIE, 1)).await.unwrap();
    place.execute("ALTER TABLE audit_record RENAME TO gone").await.unwrap();
    assert_eq!(trail.keep(record(PRAIRIE, 2)).await, Err(Unrecorded));
    trail.refuse(refusal(&Who::default(), "10.0.0.1", 1));
    assert_eq!(trail.keep(record(PRAIRIE, 3)).await, Err(Unrecorded));
    // When it comes back, reading goes on, and what was refused meanwhile is not forgotten.
    place.execute("ALTER TABLE gone RENAME TO audit_record").await.unwrap();
    assert_eq!(trail.keep(record(PRAIRIE, 4)).await, Ok(()));
    until(async || place.count("outcome <> 'OK'").await == 1).await;
    drop(trail);
    running.await.unwrap();
    assert_eq!(place.count("outcome = 'OK'").await, 2);
}

async fn refusals_of_one_kind_are_counted_together(place: Place) {
    let (trail, running, stop) = writing(&place, LINGER);
    let known = who(PRAIRIE);
    for number in 0..1_000 {
        trail.refuse(refusal(&Who::default(), "10.0.0.1", number));
        trail.refuse(refusal(&known, "10.0.0.2", number));
    }
    stop.cancel();
    drop(trail);
    running.await.unwrap();
    assert!(place.count("actor = 'unknown'").await < 100, "they are merged");
    for condition in [
        "actor = 'unknown' AND organization = '' AND origin = '10.0.0.1'",
        "actor = 'staff/1' AND organization = 'prairie' AND origin = '10.0.0.2'",
    ] {
        let sql = format!("SELECT CAST(sum(count) AS bigint) AS calls FROM audit_record WHERE {condition}");
        let statement =
            sea_orm::Statement::from_string(sea_orm::ConnectionTrait::get_database_backend(&place.database), sql);
        let row = sea_orm::ConnectionTrait::query_one_raw(&place.database, statement)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(row.try_get::<i64>("", "calls").unwrap(), 1_000, "{condition}");
    }
}

async fn a_flood_of_refusals_is_written_now_and_then(place: Place) {
    let (trail, running, stop) = writing(&place, LINGER);
    let begun = Instant::now();
    let mut next = interval(Duration::from_millis(1));
    for number in 0..1_000 {
        next.tick().await;
        trail.refuse(refusal(&Who::default(), "10.0.0.1", number));
    }
    stop.cancel();
    drop(trail);
    running.await.unwrap();
    // They are gathered for a tenth of a second each time, whether or not there were some before.
    let most = begun.elapsed().as_millis() / 100 + 2;
    let rows = place.count("actor = 'unknown'").await;
    assert!(u128::try_from(rows).unwrap() <= most, "{rows} rows, {most} at most");
}

async fn what_was_written_without_anybody_knowing_keeps_nothing_up(place: Place) {
    let (trail, running, _stop) = writing(&place, LINGER);
    let written = refusal(&Who::default(), "10.0.0.1", 1);
    insert(&place.database, std::slice::from_ref(&written)).await.unwrap();
    trail.refuse(written);
    trail.refuse(refusal(&Who::default(), "10.0.0.2", 2));
    until(async || place.count("origin = '10.0.0.2'").await == 1).await;
    drop(trail);
    running.await.unwrap();
    assert_eq!(place.count("origin = '10.0.0.1'").await, 1);
}

async fn a_database_that_falls_silent_does_not_keep_the_process(place: Place) {
    let (trail, running, stop) = writing(&place, Duration::ZERO);
    let silent = place.database.begin().await.unwrap();
    if silent.get_database_backend() == DbBackend::Postgres {
        let lock = "LOCK TABLE audit_record IN ACCESS EXCLUSIVE MODE";
        silent.execute_unprepared(lock).await.unwrap();
    }
    // More than one statement has.
    for number in 0..800 {
        trail.refuse(refusal(
            &Who::default(),
            &format!("10.0.{}.{}", number / 250, number % 250),
            number,
        ));
    }
    stop.cancel();
    assert!(
        timeout(Duration::from_secs(12), running).await.is_ok(),
        "it tries each of them at length"
    );
    silent.rollback().await.unwrap();
    assert_eq!(place.count("outcome <> 'OK'").await, 0);
}

on_both! {
    a_database_that_falls_silent_does_not_keep_the_process
    a_flood_of_refusals_is_written_now_and_then
    readings_are_there_when_their_readers_go_on
    what_cannot_be_written_is_not_read
    what_was_written_without_anybody_knowing_keeps_nothing_up
    refusals_of_one_kind_are_counted_together
}
