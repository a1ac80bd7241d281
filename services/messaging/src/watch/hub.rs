//! All watches of this process.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use carepost_audit::{Occasion, Trail};
use carepost_runtime::Clock;
use chrono::{DateTime, Utc};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::Instant,
};
use tokio_util::sync::CancellationToken;

use super::{
    notices::{End, Notices},
    places::{Full, Places},
    settings::WatchSettings,
    watcher::{Bounds, Watcher},
};
use crate::store::{Store, StoreError, Watched};

/// How long one look into the database may take, whatever it waits for.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// All watches of this process. Clones share them.
#[derive(Clone, Debug)]
pub struct Hub {
    pub(super) store: Store,
    pub(super) places: Places,
    pub(super) settings: WatchSettings,
    pub(super) reads: Arc<Semaphore>,
    pub(super) trail: Trail,
    clock: Clock,
    stopping: CancellationToken,
    compared: Arc<Mutex<Instant>>,
}

/// A watch that is to be opened.
#[derive(Debug)]
pub struct Opening {
    /// Whose mailbox.
    pub mailbox: Watched,
    /// The position to resume from. None: from now.
    pub after: Option<i64>,
    /// When the token expires.
    pub expires: DateTime<Utc>,
    /// How long the caller wants it, if they said so.
    pub span: Option<Duration>,
    /// The call, as the audit trail tells of it.
    pub occasion: Occasion,
}

/// Why a watch was not opened.
#[derive(Debug, thiserror::Error)]
pub enum Unopened {
    /// There is no place.
    #[error(transparent)]
    Full(#[from] Full),
    /// The position is ahead of the mailbox.
    #[error("the position is ahead of the mailbox")]
    Ahead,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hub {
    /// A hub without watches. All that it will have end when `stopping` is cancelled. What they show goes along the trail first.
    #[must_use]
    pub fn new(store: Store, trail: Trail, settings: WatchSettings, clock: Clock, stopping: CancellationToken) -> Self {
        Self {
            store,
            places: Places::new(settings.most, settings.most_of_person),
            settings,
            reads: Arc::new(Semaphore::new(settings.concurrent_reads)),
            trail,
            clock,
            stopping,
            compared: Arc::new(Mutex::new(Instant::now())),
        }
    }

    /// Opens a watch.
    ///
    /// # Errors
    /// If there is no place for it, the position is ahead, or the database does not answer.
    pub async fn open(&self, opening: Opening) -> Result<Notices, Unopened> {
        // The signal is there before the mailbox is read: what changes after the read wakes the watch.
        let place = self.places.take(opening.mailbox.clone())?;
        let (organization, person) = &opening.mailbox;
        let mailbox = self.store.mailbox(organization, person).await?;
        let position = opening.after.unwrap_or(mailbox.revision);
        if position > mailbox.revision {
            return Err(Unopened::Ahead);
        }
        let (out, notices) = mpsc::channel(1);
        let (ended, end) = oneshot::channel();
        let watcher = Watcher::new(
            self.clone(),
            (opening.mailbox, place.signal(), opening.occasion),
            (position, mailbox),
            out,
        );
        let bounds = Bounds {
            clock: self.clock.clone(),
            stopping: self.stopping.clone(),
            expires: opening.expires,
            span: opening.span,
        };
        tokio::spawn(async move {
            let end = watcher.run(bounds).await;
            tracing::debug!(reason = %end, "a watch ended");
            // Fails if the reader is gone.
            let _: Result<(), End> = ended.send(end);
        });
        Ok(Notices {
            notices,
            end: Some(end),
            _place: place,
        })
    }

    /// All revisions were compared at this moment, and every watch that was behind has been woken.
    pub(super) fn has_compared(&self, at: Instant) {
        *self.compared.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// Whether the last comparison is so old that nobody can say that nothing happened.
    pub(super) fn is_blind(&self) -> bool {
        let compared = *self.compared.lock().unwrap_or_else(PoisonError::into_inner);
        compared.elapsed() > 2 * self.settings.heartbeat + PATIENCE
    }
}
