//! Claims, on a real PostgreSQL and on SQLite.

use std::collections::{BTreeSet, HashSet};

use carepost_audit::Occasion;
use carepost_identity::{OrganizationId, PortalUserId, ServiceName};
use carepost_notification_migration::Migrator;
use carepost_runtime::{
    database::{DatabaseSettings, connect, migrate},
    settings::Reader,
};
use carepost_testkit::Servers;
use chrono::TimeDelta;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    domain::{Answer, AttemptOutcome, DeliveryState, MessageSent, Retry, Settled},
    settings::DEFAULTS,
};

#[derive(Clone, Copy)]
enum Column {
    Postgres,
    Sqlite,
}

/// Makes a test for each database of a function that takes one.
macro_rules! on_both {
    ($test:ident) => {
        mod $test {
            use super::Column;

            #[tokio::test(flavor = "multi_thread")]
            async fn on_postgresql() {
                super::$test(Column::Postgres).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn on_sqlite() {
                super::$test(Column::Sqlite).await;
            }
        }
    };
}

mod retry;
mod waiting;

struct Ledger {
    store: Store,
    place: Place,
    organization: OrganizationId,
    actor: Actor,
    occasion: Occasion,
}

enum Place {
    Server(Servers, String),
    Folder(TempDir),
}

impl Place {
    async fn new(column: Column, hint: &str) -> Self {
        match column {
            Column::Sqlite => Self::Folder(tempfile::tempdir().unwrap()),
            Column::Postgres => {
                let servers = Servers::ensure().await;
                let name = servers.create_database(hint).await;
                Self::Server(servers, name)
            }
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Server(servers, name) => servers.postgres_url(name),
            Self::Folder(folder) => format!("sqlite://{}", folder.path().join("notification.db").display()),
        }
    }
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

impl Ledger {
    async fn new(column: Column, hint: &str) -> Self {
        let place = Place::new(column, hint).await;
        let over = format!("[database]\nurl = \"{}\"", place.url());
        let settings = DatabaseSettings::read(&mut Reader::embedded(DEFAULTS, &over).unwrap());
        migrate::<Migrator>(&settings).await.unwrap();
        // A second time, there is nothing left to do.
        migrate::<Migrator>(&settings).await.unwrap();
        let database = connect::<Migrator>(&settings).await.unwrap();
        let organization = OrganizationId::parse("southern").unwrap();
        let actor = Actor::Service(ServiceName::parse("notification").unwrap());
        Self {
            store: Store::new(database),
            place,
            organization,
            actor,
            occasion: Occasion::own(Uuid::nil(), "test"),
        }
    }

    fn write(&self, seconds: i64) -> Write<'_> {
        Write {
            organization: &self.organization,
            actor: &self.actor,
            now: at(seconds),
            occasion: &self.occasion,
        }
    }

    /// Records this many deliveries at second 0.
    async fn record(&self, count: u128) -> u64 {
        self.record_at(at(0), 1, count).await
    }

    /// Records deliveries that follow from an event.
    async fn record_at(&self, now: DateTime<Utc>, event: u128, count: u128) -> u64 {
        let recipients = (0..count).map(|n| PortalUserId::parse(n.to_string()).unwrap().into());
        let event = MessageSent {
            event_id: Uuid::from_u128(event),
            organization: self.organization.clone(),
            message_id: Uuid::from_u128(2),
            sender: "staff/1".parse().unwrap(),
            recipients: recipients.collect(),
            chart: None,
        };
        let write = Write { now, ..self.write(0) };
        let deliveries = event.deliveries(&BTreeSet::new());
        self.store.record(write, &deliveries, None).await.unwrap()
    }

    /// Claims for ten seconds.
    async fn claim(&self, seconds: i64, most: usize, not: &[Uuid]) -> Vec<Claimed> {
        let id = Uuid::from_u128(u128::try_from(seconds).unwrap());
        let claim = Claim {
            actor: &self.actor,
            now: at(seconds),
            lease_until: at(seconds + 10),
            id,
            most,
            not,
        };
        self.store.claim(claim).await.unwrap()
    }

    async fn clear(self) {
        if let Place::Server(servers, name) = &self.place {
            servers.drop_database(name).await;
        }
    }
}

fn sent() -> Settled {
    Settled {
        state: DeliveryState::Sent,
        next_attempt_at: None,
        outcome: AttemptOutcome::Accepted,
        answer: Some(Answer::new(250, "ok")),
        suppression_reason: None,
    }
}

on_both!(n3_a_claim_is_taken_over_when_its_lease_ends_and_not_before);
async fn n3_a_claim_is_taken_over_when_its_lease_ends_and_not_before(column: Column) {
    let ledger = Ledger::new(column, "lease").await;
    assert_eq!((ledger.record(1).await, ledger.record(1).await), (1, 0));
    let first = ledger.claim(1, 5, &[]).await.remove(0);
    assert_eq!(ledger.claim(10, 5, &[]).await, []);
    // Who is still busy with it leaves it alone.
    assert_eq!(ledger.claim(11, 5, &[first.id, Uuid::nil()]).await, []);
    let second = ledger.claim(11, 5, &[Uuid::nil()]).await.remove(0);
    assert_eq!((second.id, second.attempt_count), (first.id, 2));
    assert!(second.took_over && !first.took_over);

    assert!(
        !ledger.store.finish(ledger.write(12), &first, &sent()).await.unwrap(),
        "the first claim has ended"
    );
    assert!(!ledger.store.release(ledger.write(12), &first).await.unwrap());
    assert!(ledger.store.finish(ledger.write(12), &second, &sent()).await.unwrap());
    // Whose answer was lost asks again, and changes nothing.
    assert!(
        ledger
            .store
            .finish(ledger.write(13), &second, &failed(AttemptOutcome::Refused))
            .await
            .unwrap()
    );
    let done = ledger
        .store
        .delivery(&ledger.organization, first.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (done.state, done.attempt_count, done.unknown_outcome_count),
        (DeliveryState::Sent, 2, 1)
    );
    assert_eq!(ledger.claim(1_000, 5, &[]).await, []);
    ledger.clear().await;
}

on_both!(a_released_claim_leaves_no_trace_in_the_counts);
async fn a_released_claim_leaves_no_trace_in_the_counts(column: Column) {
    let ledger = Ledger::new(column, "release").await;
    ledger.record(1).await;
    for seconds in [1, 2] {
        let claimed = ledger.claim(seconds, 5, &[]).await.remove(0);
        assert!(ledger.store.release(ledger.write(seconds), &claimed).await.unwrap());
        let found = ledger
            .store
            .delivery(&ledger.organization, claimed.id)
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            (found.state, found.attempt_count, found.unknown_outcome_count),
            (DeliveryState::Pending, 0, 0)
        );
        assert_eq!(found.next_attempt_at, Some(at(seconds)));
    }
    // Of one whose earlier attempt died, that one stays counted.
    ledger.claim(3, 5, &[]).await;
    let claimed = ledger.claim(20, 5, &[]).await.remove(0);
    ledger.store.release(ledger.write(20), &claimed).await.unwrap();
    let found = ledger
        .store
        .delivery(&ledger.organization, claimed.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found.state, found.attempt_count, found.unknown_outcome_count),
        (DeliveryState::Retrying, 1, 1)
    );
    // And it is told once.
    let next = ledger.claim(21, 5, &[]).await.remove(0);
    assert!(claimed.took_over && !next.took_over);
    ledger.clear().await;
}

on_both!(n3_those_who_claim_at_the_same_time_never_get_the_same);
async fn n3_those_who_claim_at_the_same_time_never_get_the_same(column: Column) {
    let ledger = Ledger::new(column, "race").await;
    ledger.record(50).await;
    let claims = (0..10).map(|_| ledger.claim(1, 7, &[]));
    let claimed: Vec<Vec<_>> = futures::future::join_all(claims).await;
    assert!(claimed.iter().all(|batch| batch.len() <= 7));
    let ids: Vec<_> = claimed.iter().flatten().map(|claimed| claimed.id).collect();
    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
    // Some may have passed over rows that others were just claiming; nothing is left after one more look.
    let rest = ledger.claim(1, 50, &[]).await.len();
    assert_eq!(ids.len() + rest, 50);
    ledger.clear().await;
}

on_both!(times_are_compared_to_the_microsecond_however_they_are_written);
async fn times_are_compared_to_the_microsecond_however_they_are_written(column: Column) {
    let ledger = Ledger::new(column, "times").await;
    // As text, these have fractions of different lengths, or none.
    let times = [0, 1, 1_000, 500_000, 999_999, 1_000_000].map(|micros| at(100) + TimeDelta::microseconds(micros));
    for (event, time) in (1..).zip(times.into_iter().rev()) {
        assert_eq!(ledger.record_at(time, event, 1).await, 1);
    }
    let listed = async |after| {
        let filter = DeliveryFilter::default();
        let found = ledger.store.deliveries(&ledger.organization, &filter, after, 10).await;
        found
            .unwrap()
            .into_iter()
            .map(|one| one.created_at)
            .rev()
            .collect::<Vec<_>>()
    };
    assert_eq!(listed(None).await, times);
    for (place, now) in times.into_iter().enumerate() {
        assert_eq!(listed(Some((now, Uuid::nil()))).await, times[..place]);
        let claim = Claim {
            actor: &ledger.actor,
            now,
            lease_until: at(1_000),
            id: Uuid::from_u128(1),
            most: 10,
            not: &[],
        };
        let claimed = ledger.store.claim(claim).await.unwrap();
        let created: Vec<_> = claimed.iter().map(|one| one.started_at).collect();
        assert_eq!(created, [now], "what comes later is not due");
    }
    ledger.clear().await;
}

on_both!(an_event_without_portal_recipients_records_nothing);
async fn an_event_without_portal_recipients_records_nothing(column: Column) {
    let ledger = Ledger::new(column, "none").await;
    assert_eq!(ledger.record(0).await, 0);
    ledger.clear().await;
}

fn failed(outcome: AttemptOutcome) -> Settled {
    Settled {
        state: DeliveryState::Failed,
        outcome,
        ..sent()
    }
}

on_both!(n5_every_attempt_is_kept_and_what_was_given_back_is_none);
async fn n5_every_attempt_is_kept_and_what_was_given_back_is_none(column: Column) {
    let ledger = Ledger::new(column, "kept").await;
    ledger.record(1).await;
    let given_back = ledger.claim(1, 5, &[]).await.remove(0);
    ledger.store.release(ledger.write(2), &given_back).await.unwrap();
    // It dies; the next one takes over and fails.
    ledger.claim(3, 5, &[]).await;
    let second = ledger.claim(20, 5, &[]).await.remove(0);
    let told = async |most| {
        let found = ledger.store.delivery(&ledger.organization, second.id).await;
        let of = found.unwrap().unwrap();
        let attempts = ledger.store.attempts(&ledger.organization, &of, most).await.unwrap();
        let told = attempts
            .iter()
            .map(|one| (one.number, one.outcome, one.begun_at, one.ended_at));
        told.collect::<Vec<_>>()
    };
    let died = (1, AttemptOutcome::Unknown, at(3), None);
    assert_eq!(told(10).await, [died, (2, AttemptOutcome::UnderWay, at(20), None)]);
    let refused = failed(AttemptOutcome::Refused);
    ledger.store.finish(ledger.write(21), &second, &refused).await.unwrap();
    let last = (2, AttemptOutcome::Refused, at(20), Some(at(21)));
    assert_eq!(told(10).await, [died, last]);
    assert_eq!(told(1).await, [last]);
    ledger.clear().await;
}
