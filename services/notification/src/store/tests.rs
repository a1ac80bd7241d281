//! Claims, on a real PostgreSQL.

use std::collections::HashSet;

use carepost_identity::{OrganizationId, PortalUserId, ServiceName};
use carepost_notification_migration::Migrator;
use carepost_testkit::Servers;
use chrono::TimeDelta;
use sea_orm::Database;
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

use super::*;
use crate::domain::{Answer, DeliveryState, MessageSent, Settled};

struct Ledger {
    store: Store,
    servers: Servers,
    name: String,
    organization: OrganizationId,
    actor: Actor,
}

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::seconds(seconds)
}

impl Ledger {
    async fn new(hint: &str) -> Self {
        let servers = Servers::ensure().await;
        let name = servers.create_database(hint).await;
        let database = Database::connect(servers.postgres_url(&name)).await.unwrap();
        Migrator::up(&database, None).await.unwrap();
        let organization = OrganizationId::parse("southern").unwrap();
        let actor = Actor::Service(ServiceName::parse("notification").unwrap());
        Self {
            store: Store::new(database),
            servers,
            name,
            organization,
            actor,
        }
    }

    fn write(&self, seconds: i64) -> Write<'_> {
        Write {
            organization: &self.organization,
            actor: &self.actor,
            now: at(seconds),
        }
    }

    /// Records this many deliveries at second 0.
    async fn record(&self, count: u128) -> u64 {
        let recipients = (0..count).map(|n| PortalUserId::parse(n.to_string()).unwrap().into());
        let event = MessageSent {
            event_id: Uuid::from_u128(1),
            organization: self.organization.clone(),
            message_id: Uuid::from_u128(2),
            sender: "staff/1".parse().unwrap(),
            recipients: recipients.collect(),
            chart: None,
        };
        self.store
            .record(self.write(0), &event.deliveries(), None)
            .await
            .unwrap()
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
        self.servers.drop_database(&self.name).await;
    }
}

fn sent() -> Settled {
    Settled {
        state: DeliveryState::Sent,
        next_attempt_at: None,
        unknown_outcome: false,
        answer: Some(Answer::new(250, "ok")),
        suppression_reason: None,
    }
}

#[tokio::test]
async fn n3_a_claim_is_taken_over_when_its_lease_ends_and_not_before() {
    let ledger = Ledger::new("lease").await;
    assert_eq!((ledger.record(1).await, ledger.record(1).await), (1, 0));
    let first = ledger.claim(1, 5, &[]).await.remove(0);
    assert_eq!(ledger.claim(10, 5, &[]).await, []);
    // Who is still busy with it leaves it alone.
    assert_eq!(ledger.claim(11, 5, &[first.id, Uuid::nil()]).await, []);
    let second = ledger.claim(11, 5, &[Uuid::nil()]).await.remove(0);
    assert_eq!((second.id, second.attempt_count), (first.id, 2));

    assert!(
        !ledger.store.finish(ledger.write(12), &first, &sent()).await.unwrap(),
        "the first claim has ended"
    );
    assert!(!ledger.store.release(ledger.write(12), &first).await.unwrap());
    assert!(ledger.store.finish(ledger.write(12), &second, &sent()).await.unwrap());
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

#[tokio::test]
async fn a_released_claim_leaves_no_trace_in_the_counts() {
    let ledger = Ledger::new("release").await;
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
    ledger.clear().await;
}

#[tokio::test]
async fn n3_those_who_claim_at_the_same_time_never_get_the_same() {
    let ledger = Ledger::new("race").await;
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
