//! Writes what a process was asked to show and what it refused: what has gathered, in one statement.

use std::{sync::Arc, time::Duration};

use carepost_runtime::{Clock, DatabaseFault, database::turn, server::LAST_WORDS};
use sea_orm::DatabaseConnection;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use crate::{
    record::Record,
    refusals::{self, Refusals},
    store,
    trail::{Trail, Waiting},
};

/// How many records are written at once.
const BATCH: usize = 256;
/// How many readings wait at most: more than a server has places for calls.
const QUEUE: usize = 16_384;
/// How long refusals are gathered.
const GATHER: Duration = Duration::from_millis(100);
/// How long refusals wait after they could not be written.
const RETRY: Duration = Duration::from_secs(1);
/// How long one statement may take, whatever the database itself allows.
const PATIENCE: Duration = Duration::from_secs(5);

/// Writes what comes along a [`Trail`]. A process has one for each database.
#[derive(Debug)]
pub struct Writer {
    database: DatabaseConnection,
    readings: mpsc::Receiver<Waiting>,
    refusals: Arc<Refusals>,
}

impl Writer {
    /// A writer, and the way to it.
    #[must_use]
    pub fn new(database: DatabaseConnection, clock: Clock) -> (Trail, Self) {
        let (sender, readings) = mpsc::channel(QUEUE);
        let refusals = Arc::new(Refusals::default());
        let trail = Trail {
            readings: sender,
            refusals: Arc::clone(&refusals),
            clock,
        };
        let writer = Self {
            database,
            readings,
            refusals,
        };
        (trail, writer)
    }

    /// Works until nobody can come along the trail any more, or `linger` has passed since the process began to stop: calls under
    /// way then still end. Writes what is left before it ends.
    pub async fn run(mut self, stopping: CancellationToken, linger: Duration) {
        let over = async {
            stopping.cancelled().await;
            let over = Instant::now() + linger;
            sleep_until(over).await;
            over
        };
        tokio::pin!(over);
        let refusals = Arc::clone(&self.refusals);
        let mut batch = Vec::new();
        let mut due: Option<Instant> = None;
        let over = loop {
            tokio::select! {
                read = self.readings.recv_many(&mut batch, BATCH) => {
                    if read == 0 {
                        break Instant::now();
                    }
                    self.write_readings(&mut batch).await;
                }
                () = refusals.came.notified(), if due.is_none() => due = Some(Instant::now() + GATHER),
                () = at(due) => due = self.write_refusals().await,
                over = &mut over => break over,
            }
        };
        self.end(over + LAST_WORDS).await;
    }

    async fn write_readings(&self, batch: &mut Vec<Waiting>) {
        let (records, waiting): (Vec<_>, Vec<_>) = batch.drain(..).map(|one| (one.record, one.written)).unzip();
        match self.write(&records).await {
            Ok(()) => {
                for written in waiting {
                    // Fails if nobody waits for it any more.
                    let _ = written.send(());
                }
            }
            Err(error) => {
                tracing::error!(%error, readings = records.len(), "calls are refused: the audit trail cannot be written");
            }
        }
    }

    /// Writes refusals, and tells when to do so again.
    async fn write_refusals(&self) -> Option<Instant> {
        let records = self.refusals.take(BATCH);
        if records.is_empty() {
            return None;
        }
        match self.write(&records).await {
            Ok(()) if records.len() == BATCH => Some(Instant::now()),
            // What a flood of them brings meanwhile is one row for each kind, not a commit for each.
            Ok(()) => Some(Instant::now() + GATHER),
            Err(error) => {
                tracing::warn!(%error, kinds = records.len(), "refused calls wait to be recorded");
                self.refusals.put_back(records);
                Some(Instant::now() + RETRY)
            }
        }
    }

    /// Writes what is left as long as there is time, and tells of the rest that it is lost.
    async fn end(self, end: Instant) {
        loop {
            let records = self.refusals.take(BATCH);
            if records.is_empty() {
                return;
            }
            if !matches!(timeout_at(end, self.write(&records)).await, Ok(Ok(()))) {
                records.iter().for_each(refusals::lose);
            }
        }
    }

    async fn write(&self, records: &[Record]) -> Result<(), DatabaseFault> {
        let write = async {
            let _turn = turn(&self.database).await?;
            // What came to nothing for all that is known here may be there.
            store::insert_missing(&self.database, records).await
        };
        let written = timeout(PATIENCE, write).await;
        Ok(written.map_err(|_| DatabaseFault::Unavailable)??)
    }
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
