//! Where calls are told of that do not write a record themselves.

use std::sync::Arc;

use carepost_runtime::Clock;
use chrono::{DateTime, Utc};
use tokio::sync::{mpsc, oneshot};

use crate::{record::Record, refusals::Refusals};

/// The record could not be written: what it tells of is not to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the audit trail cannot be written")]
pub struct Unrecorded;

/// A record that somebody waits for.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub record: Record,
    pub written: oneshot::Sender<()>,
}

/// The way to the [`Writer`](crate::Writer) of a process. Clones share it.
#[derive(Clone, Debug)]
pub struct Trail {
    pub(crate) readings: mpsc::Sender<Waiting>,
    pub(crate) refusals: Arc<Refusals>,
    pub(crate) clock: Clock,
}

impl Trail {
    /// The time, for a record.
    #[must_use]
    pub fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Writes a record, and waits until it is on disk. Those that come together are written together.
    ///
    /// # Errors
    /// If it cannot be written now: the database does not answer, or too many wait.
    pub async fn keep(&self, record: Record) -> Result<(), Unrecorded> {
        let (written, done) = oneshot::channel();
        let waiting = Waiting { record, written };
        self.readings.try_send(waiting).map_err(|_| Unrecorded)?;
        done.await.map_err(|_| Unrecorded)
    }

    /// Writes soon that a call was refused, together with others of the same kind. Nobody waits for it; what cannot be kept is
    /// counted and logged.
    pub fn refuse(&self, record: Record) {
        self.refusals.add(record);
    }
}
