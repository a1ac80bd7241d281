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
use crate::{
    counts,
    domain::Rate,
    store::{Claim, Claimed, Store, StoreError},
};

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

/// What the loop keeps in mind.
struct Work {
    attempts: Attempts,
    /// What the attempts are at.
    busy: HashSet<Uuid>,
    pause: Pause,
    rate: Option<Rate>,
}

impl Mailer {
    /// Works until `stop`; then claims nothing more, and lets the attempts under way finish.
    pub async fn run(self, stop: CancellationToken) {
        let mailer = Arc::new(self);
        let rate = mailer.settings.most_per_second;
        let mut work = Work {
            attempts: Attempts::new(),
            busy: HashSet::new(),
            pause: Pause::new(),
            rate: rate.map(|most| Rate::new(most, mailer.clock.now())),
        };
        while !stop.is_cancelled() {
            if work.pause.is_over() {
                match mailer.claim(&mut work).await {
                    Ok(claimed) => mailer.begin(claimed, &mut work),
                    Err(error) => {
                        tracing::warn!(%error, failures = work.pause.failures, "what is due cannot be claimed");
                        work.pause.fails();
                    }
                }
            }
            let rest = mailer.rest(&work);
            let Work {
                attempts, busy, pause, ..
            } = &mut work;
            tokio::select! {
                () = stop.cancelled() => {}
                Some(Ok(ended)) = attempts.join_next() => note(ended, busy, pause),
                () = mailer.wake.notified(), if pause.is_over() => {}
                () = sleep(rest) => {}
            }
            while let Some(Ok(ended)) = attempts.try_join_next() {
                note(ended, busy, pause);
            }
            if attempts.is_empty() {
                mailer.transport.close_idle().await;
            }
        }
        while work.attempts.join_next().await.is_some() {}
        mailer.transport.close_all().await;
    }

    /// How long until it looks again, if nothing happens before.
    fn rest(&self, work: &Work) -> Duration {
        let paused = work.pause.until.saturating_duration_since(Instant::now());
        if !paused.is_zero() {
            return paused;
        }
        let for_rate = work.rate.as_ref().map(|rate| rate.wait(self.clock.now()));
        for_rate
            .filter(|wait| !wait.is_zero())
            .map_or(self.settings.poll, |wait| wait.min(self.settings.poll))
    }

    /// How many may be claimed: no more than can begin at once; after a failure, one alone, to see whether it works again.
    fn most(&self, work: &Work) -> usize {
        let free = self.settings.concurrency.saturating_sub(work.busy.len());
        let most = if work.pause.failures == 0 {
            free
        } else {
            usize::from(work.busy.is_empty())
        };
        let allowed = work.rate.as_ref().map(|rate| rate.available(self.clock.now()));
        allowed.map_or(most, |allowed| most.min(allowed))
    }

    async fn claim(&self, work: &mut Work) -> Result<Vec<Claimed>, StoreError> {
        let most = self.most(work);
        if most == 0 {
            return Ok(Vec::new());
        }
        let now = self.clock.now();
        let lease = TimeDelta::from_std(self.settings.lease).unwrap_or(TimeDelta::MAX);
        let not: Vec<_> = work.busy.iter().copied().collect();
        let claim = Claim {
            actor: &self.actor,
            now,
            lease_until: now.checked_add_signed(lease).unwrap_or(now),
            id: self.ids.next(now),
            most,
            not: &not,
        };
        let claimed = self.store.claim(claim).await?;
        if let Some(rate) = &mut work.rate {
            rate.take(claimed.len(), now);
        }
        Ok(claimed)
    }

    fn begin(self: &Arc<Self>, claimed: Vec<Claimed>, work: &mut Work) {
        for claimed in claimed {
            if claimed.took_over {
                counts::attempt_died();
                tracing::warn!(delivery = %claimed.id, "an attempt died: nobody knows whether its email went out");
            }
            let (mailer, id) = (Arc::clone(self), claimed.id);
            work.busy.insert(id);
            work.attempts.spawn(async move {
                // A panic while the outcome is recorded leaves it unknown, and it is counted so when the lease ends.
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
