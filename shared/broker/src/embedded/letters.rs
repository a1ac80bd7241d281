//! The dead letters in the broker's file.
//!
//! Nothing in the memory of a process tells of dead letters: so they can be seen and sent back by another process than that
//! which has the file. Its consumers find what was sent back at the next look.

use std::{future::Future, io, path::Path, sync::Arc, time::Duration};

use carepost_runtime::database;
use futures::TryStreamExt;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, QueryResult, StreamTrait};
use tokio::time::timeout;

use super::{
    file::BrokerFile,
    lock,
    table::{self, statement},
};
use crate::{
    dead_letters::{DeadLetter, Page, Pages, RedriveError, Redriven, TIME},
    error::BrokerError,
    publisher::PublishError,
    settings::BrokerSettings,
    topology::Topology,
};

const LIST: &str = "\
    SELECT sequence, message_id, message_type, routing_key, dead_queue, dead_reason, dead_time, body \
    FROM message WHERE queue = $1 ORDER BY dead_time, sequence LIMIT $2 OFFSET $3";

const COUNT: &str = "SELECT count(*) AS messages FROM message WHERE queue = $1";

const OLDEST: &str = "SELECT sequence FROM message WHERE queue = $1 ORDER BY dead_time, sequence LIMIT $2";

const ORIGIN: &str = "SELECT dead_queue FROM message WHERE sequence = $1 AND queue = $2";

const REVIVE: &str = "\
    UPDATE message SET queue = $1, deliveries = 0, dead_reason = NULL, dead_queue = NULL, dead_time = NULL \
    WHERE sequence = $2 AND queue = $3";

/// The file, whoever has it.
pub(crate) struct EmbeddedLetters<'a> {
    db: DatabaseConnection,
    /// If this process has the file: its consumers are told at once.
    shared: Option<Arc<BrokerFile>>,
    topology: &'a Topology,
    /// How long a statement or transaction may take.
    limit: Duration,
}

impl<'a> EmbeddedLetters<'a> {
    pub(crate) async fn open(path: &Path, broker: &'a BrokerSettings) -> Result<Self, BrokerError> {
        let opening = async {
            let path = lock::canonical(path)?;
            let shared = BrokerFile::shared(&path).await;
            let db = match &shared {
                Some(file) => file.db.clone(),
                None => Self::look_into(&path, broker.connect_timeout).await?,
            };
            Ok(Self {
                db,
                shared,
                topology: &broker.topology,
                limit: broker.confirm_timeout,
            })
        };
        let opened = timeout(broker.connect_timeout, opening).await;
        opened.unwrap_or(Err(BrokerError::Timeout))
    }

    async fn look_into(path: &Path, within: Duration) -> Result<DatabaseConnection, BrokerError> {
        // A new file would hide that the path is wrong.
        if !path.exists() {
            return Err(BrokerError::File(path.to_owned(), io::ErrorKind::NotFound));
        }
        let db = database::open_file(path, within).await?;
        if table::create(&db).await? {
            Ok(db)
        } else {
            Err(BrokerError::Newer(path.to_owned()))
        }
    }

    pub(crate) async fn list(&self, skip: u32, limit: u32) -> Result<Page, BrokerError> {
        let queue = self.topology.dead_letters();
        let listing = async {
            let count = self.db.query_one_raw(statement(COUNT, [queue.into()])).await?;
            let count: i64 = count.map_or(Ok(0), |row| row.try_get("", "messages"))?;
            let list = statement(LIST, [queue.into(), limit.into(), skip.into()]);
            let mut pages = Pages::default();
            let mut rows = self.db.stream_raw(list).await?;
            while let Some(row) = rows.try_next().await? {
                if !pages.push(read(&row)?) {
                    break;
                }
            }
            let letters = pages.letters;
            let seen = i64::from(skip) + i64::try_from(letters.len()).unwrap_or(i64::MAX);
            let remaining = u32::try_from(count.saturating_sub(seen).max(0)).unwrap_or(u32::MAX);
            Ok(Page { letters, remaining })
        };
        in_time(self.limit, listing).await
    }

    pub(crate) async fn redrive(&self, id: &str) -> Result<(), RedriveError> {
        self.send_back(id.parse().map_err(|_| RedriveError::NotFound)?).await
    }

    pub(crate) async fn redrive_oldest(&self, limit: u32) -> Redriven {
        let mut redriven = Redriven::default();
        let sending = async {
            for sequence in in_time(self.limit, self.oldest(limit)).await? {
                let outcome = self.send_back(sequence).await;
                if !redriven.note(outcome) {
                    break;
                }
            }
            Ok(())
        };
        if let Err(error) = in_time(TIME, sending).await {
            redriven.failure = Some(error.into());
        }
        redriven
    }

    async fn oldest(&self, limit: u32) -> Result<Vec<i64>, BrokerError> {
        let oldest = statement(OLDEST, [self.topology.dead_letters().into(), limit.into()]);
        let rows = self.db.query_all_raw(oldest).await?;
        let sequences: Result<_, DbErr> = rows.iter().map(|row| row.try_get("", "sequence")).collect();
        Ok(sequences?)
    }

    /// Moves a letter to the queue that it came from, and its place there.
    async fn send_back(&self, sequence: i64) -> Result<(), RedriveError> {
        match timeout(self.limit, self.revive(sequence)).await {
            Ok(Ok(outcome)) => outcome?,
            Ok(Err(error)) => return Err(BrokerError::from(error).into()),
            Err(_) => return Err(PublishError::Unconfirmed.into()),
        }
        if let Some(file) = &self.shared {
            file.changed.send_replace(());
        }
        Ok(())
    }

    async fn revive(&self, sequence: i64) -> Result<Result<(), RedriveError>, DbErr> {
        let dead = self.topology.dead_letters();
        let transaction = database::begin(&self.db).await?;
        let origin = statement(ORIGIN, [sequence.into(), dead.into()]);
        let Some(row) = transaction.query_one_raw(origin).await? else {
            return Ok(Err(RedriveError::NotFound));
        };
        let queue: Option<String> = row.try_get("", "dead_queue")?;
        let Some(queue) = queue.filter(|queue| self.topology.is_work_queue(queue)) else {
            return Ok(Err(RedriveError::NoQueue));
        };
        if table::room(&transaction, &queue, self.topology.max_length()).await? == 0 {
            return Ok(Err(PublishError::Refused.into()));
        }
        let revive = statement(REVIVE, [queue.into(), sequence.into(), dead.into()]);
        transaction.execute_raw(revive).await?;
        transaction.commit().await?;
        Ok(Ok(()))
    }
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = Result<T, BrokerError>>) -> Result<T, BrokerError> {
    timeout(limit, work).await.unwrap_or(Err(BrokerError::Timeout))
}

fn read(row: &QueryResult) -> Result<DeadLetter, DbErr> {
    let sequence: i64 = row.try_get("", "sequence")?;
    let time: Option<String> = row.try_get("", "dead_time")?;
    Ok(DeadLetter {
        id: sequence.to_string(),
        message_id: row.try_get("", "message_id")?,
        message_type: row.try_get("", "message_type")?,
        routing_key: row.try_get("", "routing_key")?,
        queue: row.try_get("", "dead_queue")?,
        reason: row.try_get("", "dead_reason")?,
        time: time.and_then(|time| time.parse().ok()),
        body: row.try_get("", "body")?,
    })
}
