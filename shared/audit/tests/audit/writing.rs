//! What goes along a trail is on disk when it is said to be.

use std::time::Duration;

use carepost_audit::{Occasion, Record, Trail, Unrecorded, Who, Writer};
use carepost_runtime::Clock;
use tokio::{
    task::JoinHandle,
    time::{Instant, interval},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::support::{PRAIRIE, Place, on_both, record, start, until, who};

const LINGER: Duration = Duration::from_secs(5);

fn writing(place: &Place) -> (Trail, JoinHandle<()>, CancellationToken) {
    let stop = CancellationToken::new();
    let (trail, writer) = Writer::new(place.database.clone(), Clock::system());
    let running = tokio::spawn(writer.run(stop.clone(), LINGER));
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
    let (trail, running, _stop) = writing(&place);
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
    let (trail, running, _stop) = writing(&place);
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
    let (trail, running, stop) = writing(&place);
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
    let (trail, running, stop) = writing(&place);
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

on_both! {
    a_flood_of_refusals_is_written_now_and_then
    readings_are_there_when_their_readers_go_on
    what_cannot_be_written_is_not_read
    refusals_of_one_kind_are_counted_together
}
