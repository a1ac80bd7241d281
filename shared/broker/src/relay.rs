//! Takes events from the outbox to the broker.
//!
//! A batch of rows is taken by a short lease, published, and deleted as far as it was confirmed; no transaction is open
//! meanwhile. If the relay dies in between, the lease ends and another relay publishes the rows again: an event is published
//! at least once, always with the same id.

use std::{sync::Arc, time::Duration};

use carepost_runtime::{
    Backoff, Clock, Ids,
    metrics::{labels::Published, metrics},
    settings::Reader,
};
use sea_orm::{DatabaseConnection, DbErr};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    error::BrokerError,
    outbox::lease::{self, Claim, Claimed},
    publisher::{PublishError, Publisher},
};

/// How long one statement may take, whatever the database itself allows.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(5);

/// When to try again what cannot be published for a reason of its own.
const RETRY: Backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));

/// How the relay works.
#[derive(Clone, Copy, Debug)]
pub struct RelaySettings {
    /// How many events are taken at once.
    pub batch: u32,
    /// For how long nobody else takes them. To be longer than connecting, confirming and two statements may take together.
    pub lease: Duration,
    /// How often to look without being woken: for what another process wrote, or a dead relay left.
    pub poll: Duration,
    /// How long to wait after failures in a row.
    pub backoff: Backoff,
    /// How long a batch under way may take once the process is stopping.
    pub drain: Duration,
}

impl Default for RelaySettings {
    fn default() -> Self {
        Self {
            batch: 256,
            lease: Duration::from_secs(30),
            poll: Duration::from_secs(1),
            backoff: Backoff::new(Duration::from_millis(100), Duration::from_secs(5)),
            drain: Duration::from_secs(5),
        }
    }
}

impl RelaySettings {
    /// Reads the section `outbox`: `batch`, `lease_seconds`, `poll_ms`; the rest as by default.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            batch: reader.count("outbox.batch", 1..=10_000),
            lease: reader.seconds("outbox.lease_seconds", 5..=600),
            poll: reader.milliseconds("outbox.poll_ms", 10..=60_000),
            ..Self::default()
        }
    }
}

/// Takes events from one outbox to the broker. Any number may work on the same outbox.
pub struct Relay {
    /// The database with the outbox.
    pub db: DatabaseConnection,
    /// Where the events go.
    pub publisher: Publisher,
    /// Tells how long leases last; may differ between relays by much less than a lease.
    pub clock: Clock,
    /// Makes the ids of batches.
    pub ids: Ids,
    /// Notified after each commit that wrote an event.
    pub wake: Arc<Notify>,
    /// How it works.
    pub settings: RelaySettings,
}

/// What came of a turn.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    /// There may be more.
    Full,
    /// There was no more.
    Drained,
    /// Nothing could be published.
    Failed,
}

/// Why a turn failed as a whole.
#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error(transparent)]
    Broker(#[from] BrokerError),
    #[error("the outbox cannot be used: {0}")]
    Database(#[from] DbErr),
    #[error("the outbox did not answer in time")]
    DatabaseTimeout,
}

impl Relay {
    /// Works until `stop`; then finishes what it has taken, or gives it back. Outages of broker and database are waited for.
    pub async fn run(self, stop: CancellationToken) {
        let mut failures = 0;
        while !stop.is_cancelled() {
            let turn = self.turn(&stop).await.unwrap_or_else(|error| {
                tracing::warn!(%error, failures, "events wait in the outbox");
                Turn::Failed
            });
            failures = if turn == Turn::Failed { failures + 1 } else { 0 };
            match turn {
                Turn::Full => {}
                Turn::Drained => tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.wake.notified() => {}
                    () = sleep(self.settings.poll) => {}
                },
                // Not to be woken: during an outage, every commit would be another try.
                Turn::Failed => tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(self.settings.backoff.delay(failures)) => {}
                },
            }
        }
        self.publisher.close().await;
    }

    async fn turn(&self, stop: &CancellationToken) -> Result<Turn, RelayError> {
        // First of all, so that an outage of the broker leaves the rows alone.
        tokio::select! {
            ready = self.publisher.ready() => ready?,
            () = stop.cancelled() => return Ok(Turn::Drained),
        }
        let now = self.clock.now();
        let RelaySettings {
            batch: limit, lease, ..
        } = self.settings;
        let claim = Claim {
            id: self.ids.next(now),
            at: now,
            lease,
            limit,
        };
        let claimed = in_time(lease::claim(&self.db, claim)).await?;
        if claimed.is_empty() {
            return Ok(Turn::Drained);
        }
        let full = claimed.len() >= limit as usize;
        let settlement = self.publish(claimed, stop).await;
        let outage = settlement.published.is_empty() && !settlement.delayed.is_empty();
        self.settle(claim.id, settlement).await?;
        Ok(match (outage, full) {
            (true, _) => Turn::Failed,
            (false, true) => Turn::Full,
            (false, false) => Turn::Drained,
        })
    }

    async fn publish(&self, claimed: Vec<Claimed>, stop: &CancellationToken) -> Settlement {
        let mut settlement = Settlement::default();
        let (mut events, mut attempts) = (Vec::new(), Vec::new());
        for row in claimed {
            match row.event {
                Some(event) => {
                    events.push(event);
                    attempts.push(row.attempts);
                }
                None => settlement.unknown(row.id, row.attempts),
            }
        }
        let overdue = async {
            stop.cancelled().await;
            sleep(self.settings.drain).await;
        };
        let outcomes = tokio::select! {
            outcomes = self.publisher.publish(&events) => outcomes,
            () = overdue => events.iter().map(|_| Err(PublishError::Unconfirmed)).collect(),
        };
        for ((event, attempts), outcome) in events.iter().zip(attempts).zip(outcomes) {
            settlement.note(event.id, attempts, outcome);
        }
        settlement
    }

    async fn settle(&self, claim: Uuid, settlement: Settlement) -> Result<(), RelayError> {
        settlement.tell();
        let Settlement {
            published,
            delayed,
            failed,
            attempts,
            ..
        } = settlement;
        let now = self.clock.now();
        if !published.is_empty() {
            let expected = published.len() as u64;
            let deleted = in_time(lease::delete(&self.db, claim, published)).await?;
            if deleted < expected {
                tracing::warn!(
                    expected,
                    deleted,
                    "a lease ended too early: some events are published again"
                );
            }
        }
        if !delayed.is_empty() {
            in_time(lease::release(&self.db, claim, delayed, now)).await?;
        }
        if !failed.is_empty() {
            let due = now + RETRY.delay(attempts);
            in_time(lease::release(&self.db, claim, failed, due)).await?;
        }
        Ok(())
    }
}

/// What is to become of the rows of a batch.
#[derive(Default)]
struct Settlement {
    /// Confirmed: to be deleted.
    published: Vec<Uuid>,
    /// Held up by the broker: due at once, since it is the relay that waits.
    delayed: Vec<Uuid>,
    /// Not publishable themselves: due later, so that they do not keep others waiting, however many they are.
    failed: Vec<Uuid>,
    /// The most attempts of those that failed.
    attempts: u32,
    /// The last error, to be told.
    error: Option<PublishError>,
}

impl Settlement {
    fn tell(&self) {
        let (published, delayed, failed) = (self.published.len(), self.delayed.len(), self.failed.len());
        metrics().published(Published::Confirmed, published);
        metrics().published(Published::Delayed, delayed);
        metrics().published(Published::Failed, failed);
        match &self.error {
            Some(error) => tracing::warn!(%error, published, delayed, failed, "events stay in the outbox"),
            None => tracing::debug!(published, "events were published"),
        }
    }

    fn note(&mut self, id: Uuid, attempts: u32, outcome: Result<(), PublishError>) {
        let Err(error) = outcome else {
            return self.published.push(id);
        };
        if error.is_outage() {
            self.delayed.push(id);
        } else {
            self.fail(id, attempts);
        }
        self.error = Some(error);
    }

    fn unknown(&mut self, id: Uuid, attempts: u32) {
        tracing::error!(event = %id, "the outbox has an event that this version does not know");
        self.fail(id, attempts);
    }

    fn fail(&mut self, id: Uuid, attempts: u32) {
        self.failed.push(id);
        self.attempts = self.attempts.max(attempts);
    }
}

async fn in_time<T>(statement: impl Future<Output = Result<T, DbErr>>) -> Result<T, RelayError> {
    Ok(timeout(STATEMENT_TIMEOUT, statement)
        .await
        .map_err(|_| RelayError::DatabaseTimeout)??)
}
