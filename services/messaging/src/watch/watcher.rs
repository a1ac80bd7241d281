//! One watch at work: it waits to be woken, reads what its mailbox has after its position, and tells it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use carepost_audit::{Occasion, Record, Subject};
use carepost_runtime::{Backoff, Clock};
use chrono::{DateTime, Utc};
use tokio::{
    sync::mpsc::{self, error::SendTimeoutError},
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    hub::{Hub, PATIENCE},
    notices::{End, Event, Notice},
    shown,
    signal::{Signal, Woken},
};
use crate::{
    domain::Mailbox,
    store::{Change, Changes, Watched},
};

/// The least time between two notices that reply abilities may have changed.
const BETWEEN_ABILITIES: Duration = Duration::from_secs(1);
/// How long a watch waits for its turn to read.
const TURN: Duration = Duration::from_secs(30);
/// How often the wall clock is looked at: a machine may have slept.
const LOOK: Duration = Duration::from_secs(20);

/// What ends a watch from outside.
pub(super) struct Bounds {
    pub clock: Clock,
    pub stopping: CancellationToken,
    pub expires: DateTime<Utc>,
    pub span: Option<Duration>,
}

/// A watch.
pub(super) struct Watcher {
    hub: Hub,
    watched: Watched,
    signal: Arc<Signal>,
    occasion: Occasion,
    position: i64,
    mailbox: Mailbox,
    out: mpsc::Sender<Notice>,
    /// When the next heartbeat is due, if nothing is told before.
    beat: Instant,
    /// When it may be told again that reply abilities may have changed.
    abilities_from: Instant,
    /// When that is to be told.
    abilities: Option<Instant>,
}

impl Watcher {
    pub fn new(
        hub: Hub,
        (watched, signal, occasion): (Watched, Arc<Signal>, Occasion),
        (position, mailbox): (i64, Mailbox),
        out: mpsc::Sender<Notice>,
    ) -> Self {
        signal.stands(position);
        let now = Instant::now();
        Self {
            hub,
            watched,
            signal,
            occasion,
            position,
            mailbox,
            out,
            beat: now,
            abilities_from: now,
            abilities: None,
        }
    }

    /// Watches until something ends it.
    pub async fn run(mut self, bounds: Bounds) -> End {
        let out = self.out.clone();
        tokio::select! {
            biased;
            () = bounds.stopping.cancelled() => End::Stopping,
            () = out.closed() => End::Gone,
            () = expiry(&bounds.clock, bounds.expires) => End::TokenExpired,
            () = passed(bounds.span) => End::Deadline,
            Err(end) = self.follow() => end,
        }
    }

    async fn follow(&mut self) -> Result<Infallible, End> {
        self.tell(Event::Opened).await?;
        if self.position < self.mailbox.revision {
            self.catch_up().await?;
        }
        loop {
            let (beat, abilities) = (self.beat, self.abilities);
            tokio::select! {
                woken = self.signal.woken() => {
                    self.plan_abilities(woken);
                    if woken.moved {
                        self.catch_up().await?;
                    }
                }
                () = due(abilities) => {
                    self.abilities = None;
                    self.abilities_from = Instant::now() + BETWEEN_ABILITIES;
                    self.tell(Event::AbilitiesMayHaveChanged).await?;
                }
                () = sleep_until(beat) => {
                    if self.hub.is_blind() {
                        return Err(End::Silence);
                    }
                    self.tell(Event::Heartbeat).await?;
                }
            }
        }
    }

    /// What concerns the person is told at once; what may concern anybody within a while, and not by all watches at once: each
    /// client that hears it asks again.
    fn plan_abilities(&mut self, woken: Woken) {
        let now = Instant::now();
        let spread = self.hub.settings.abilities_spread;
        let soon = woken
            .abilities_soon
            .then(|| now + Backoff::new(spread, spread).delay(1));
        let due = woken.abilities.then_some(now).or(soon);
        let due = due.map(|due| due.max(self.abilities_from));
        self.abilities = self.abilities.into_iter().chain(due).min();
    }

    /// Tells all that the mailbox has after the position.
    async fn catch_up(&mut self) -> Result<(), End> {
        loop {
            // In a box, so that a watch that waits does not hold the room for it.
            let Changes { mailbox, changes, more } = Box::pin(self.read()).await?;
            if mailbox.revision < self.position {
                return Err(End::PutBack);
            }
            let changed = mailbox != self.mailbox;
            self.mailbox = mailbox;
            let none = changes.is_empty();
            Box::pin(self.record(&changes)).await?;
            for change in changes {
                self.moves_to(change.position);
                self.tell(Event::Changed(Box::new(change.conversation))).await?;
            }
            if more {
                continue;
            }
            self.moves_to(mailbox.revision);
            // A change of the badge that no conversation shows is told all the same.
            if none && changed {
                self.tell(Event::Heartbeat).await?;
            }
            return Ok(());
        }
    }

    async fn read(&self) -> Result<Changes, End> {
        let turn = timeout(TURN, self.hub.reads.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            return Err(End::Overloaded);
        };
        let (organization, person) = &self.watched;
        let most = self.hub.settings.page;
        let reading = self.hub.store.changes(organization, person, self.position, most);
        let changes = timeout(PATIENCE, reading).await.map_err(|_| End::Silence)?;
        Ok(changes?)
    }

    /// What is about to be shown is in the audit trail first.
    async fn record(&self, changes: &[Change]) -> Result<(), End> {
        if changes.is_empty() {
            return Ok(());
        }
        let subjects: Vec<Subject> = changes.iter().flat_map(|change| shown(&change.conversation)).collect();
        let (trail, who) = (&self.hub.trail, self.occasion.who());
        let record = Record::new(&self.occasion, &who, trail.now(), &subjects, "OK");
        trail.keep(record).await.map_err(|_| End::Silence)
    }

    fn moves_to(&mut self, position: i64) {
        self.position = position;
        self.signal.stands(position);
    }

    async fn tell(&mut self, event: Event) -> Result<(), End> {
        let notice = Notice {
            position: self.position,
            mailbox: self.mailbox,
            event,
        };
        let told = self.out.send_timeout(notice, self.hub.settings.reader_patience).await;
        told.map_err(|untold| match untold {
            SendTimeoutError::Timeout(_) => End::SlowReader,
            SendTimeoutError::Closed(_) => End::Gone,
        })?;
        self.beat = Instant::now() + self.hub.settings.heartbeat;
        Ok(())
    }
}

async fn expiry(clock: &Clock, expires: DateTime<Utc>) {
    while let Ok(left) = (expires - clock.now()).to_std() {
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
    }
}

async fn passed(span: Option<Duration>) {
    match span {
        Some(span) => sleep(span).await,
        None => std::future::pending().await,
    }
}

async fn due(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
