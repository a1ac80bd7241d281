//! The loop behind the emails: claims what is due, and makes attempts at it, a bounded number at a time.

use std::{collections::HashSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use carepost_identity::Actor;
use carepost_runtime::{Backoff, Clock, Ids};
use chrono::TimeDelta;
use futures::FutureExt;
use tokio::{
    sync::Notify,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{MailSettings, Recipients, Transport, attempt::Ended};
use crate::store::{Claim, Claimed, Store, StoreError};

/// How long to wait while eligibility or the database is down.
pub(super) const PAUSES: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

/// Sends emails.
pub struct Mailer {
    /// The ledger.
    pub store: Store,
    /// To whom.
    pub recipients: Recipients,
    /// The way that they go.
    pub transport: Transport,
    /// How emails are sent.
    pub settings: MailSettings,
    /// Who sends.
    pub actor: Actor,
    /// The time.
    pub clock: Clock,
    /// Fresh ids.
    pub ids: Ids,
    /// Wakes the mailer when there is something new.
    pub wake: Arc<Notify>,
}

/// While something that every attempt needs is down.
struct Pause {
    failures: u32,
    until: Instant,
}

impl Pause {
    fn new() -> Self {
        Self {
            failures: 0,
            until: Instant::now(),
        }
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.until
    }

    /// Those who were under way when it went down fail together: they are one failure.
    fn fails(&mut self) {
        if self.is_over() {
            self.failures = self.failures.saturating_add(1);
            self.until = Instant::now() + PAUSES.delay(self.failures);
        }
    }

    fn works(&mut self) {
        *self = Self::new();
    }
}

type Attempts = JoinSet<(Uuid, Option<Ended>)>;

impl Mailer {
    /// Works until `stop`; then claims nothing more, and lets the attempts under way finish.
    pub async fn run(self, stop: CancellationToken) {
        let mailer = Arc::new(self);
        let (mut attempts, mut busy, mut pause) = (Attempts::new(), HashSet::new(), Pause::new());
        while !stop.is_cancelled() {
            if pause.is_over() {
                match mailer.claim(&busy, &pause).await {
                    Ok(claimed) => mailer.begin(claimed, &mut attempts, &mut busy),
                    Err(error) => {
                        tracing::warn!(%error, failures = pause.failures, "what is due cannot be claimed");
                        pause.fails();
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                Some(Ok(ended)) = attempts.join_next() => note(ended, &mut busy, &mut pause),
                () = mailer.wake.notified(), if pause.is_over() => {}
                () = mailer.look_again(&pause) => {}
            }
            while let Some(Ok(ended)) = attempts.try_join_next() {
                note(ended, &mut busy, &mut pause);
            }
            if attempts.is_empty() {
                mailer.transport.close_idle().await;
            }
        }
        while attempts.join_next().await.is_some() {}
        mailer.transport.close_all().await;
    }

    async fn look_again(&self, pause: &Pause) {
        let rest = pause.until.saturating_duration_since(Instant::now());
        sleep(if rest.is_zero() { self.settings.poll } else { rest }).await;
    }

    /// Claims no more than can begin at once; after a failure, one alone, to see whether it works again.
    async fn claim(&self, busy: &HashSet<Uuid>, pause: &Pause) -> Result<Vec<Claimed>, StoreError> {
        let free = self.settings.concurrency.saturating_sub(busy.len());
        let most = if pause.failures == 0 {
            free
        } else {
            usize::from(busy.is_empty())
        };
        if most == 0 {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let lease = TimeDelta::from_std(self.settings.lease).unwrap_or(TimeDelta::MAX);
        let not: Vec<_> = busy.iter().copied().collect();
        let claim = Claim {
            actor: &self.actor,
            now,
            lease_until: now.checked_add_signed(lease).unwrap_or(now),
            id: self.ids.next(now),
            most,
            not: &not,
        };
        self.store.claim(claim).await
    }

    fn begin(self: &Arc<Self>, claimed: Vec<Claimed>, attempts: &mut Attempts, busy: &mut HashSet<Uuid>) {
        for claimed in claimed {
            let (mailer, id) = (Arc::clone(self), claimed.id);
            busy.insert(id);
            attempts.spawn(async move {
                // A panic ends this attempt alone. Its outcome is unknown, and is counted so when the lease ends.
                (id, AssertUnwindSafe(mailer.attempt(claimed)).catch_unwind().await.ok())
            });
        }
    }
}

fn note((id, ended): (Uuid, Option<Ended>), busy: &mut HashSet<Uuid>, pause: &mut Pause) {
    busy.remove(&id);
    match ended {
        Some(Ended::Settled) => pause.works(),
        Some(Ended::Paused) => {
            pause.fails();
            tracing::warn!(failures = pause.failures, "eligibility does not answer: emails wait");
        }
        None => tracing::error!(delivery = %id, "an attempt panicked"),
    }
}
