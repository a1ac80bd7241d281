//! The broker's file, shared by all publishers and consumers of the process.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use carepost_runtime::database;
use sea_orm::DatabaseConnection;
use tokio::{
    sync::{Mutex as AsyncMutex, broadcast, watch},
    time::timeout,
};

use super::{lock, table};
use crate::{
    consumer::Death,
    error::BrokerError,
    event::Event,
    publisher::PublishError,
    topology::{Queue, Topology},
};

/// The files that this process has, by their canonical paths.
static OPEN: AsyncMutex<Option<HashMap<PathBuf, Weak<BrokerFile>>>> = AsyncMutex::const_new(None);

/// The most events that wait for a listener.
const UNHEARD: usize = 4_096;

/// The broker's file. It is this process's until the last of its publishers and consumers has gone.
pub(super) struct BrokerFile {
    /// Has one connection: every statement and transaction waits for the one before.
    pub(super) db: DatabaseConnection,
    /// Held while messages are claimed, so that no two consumers claim the same.
    pub(super) claiming: AsyncMutex<()>,
    /// The messages that a consumer has, by their sequence.
    held: Mutex<HashSet<i64>>,
    /// Told whenever there may be a message for somebody.
    pub(super) changed: watch::Sender<()>,
    /// What was published, for listeners. They take it at once; for one that cannot, the oldest goes.
    published: broadcast::Sender<Arc<Event>>,
    /// How long a statement or transaction may take.
    pub(super) limit: Duration,
    /// Last, so that SQLite's connection goes first.
    _lock: std::fs::File,
}

impl BrokerFile {
    /// Opens the file, or shares it if this process has it open.
    pub(super) async fn open(path: &Path, within: Duration, limit: Duration) -> Result<Arc<Self>, BrokerError> {
        let opening = Self::open_or_share(path, within, limit);
        timeout(within, opening).await.unwrap_or(Err(BrokerError::Timeout))
    }

    async fn open_or_share(path: &Path, within: Duration, limit: Duration) -> Result<Arc<Self>, BrokerError> {
        let mut open = OPEN.lock().await;
        let open = open.get_or_insert_default();
        let path = lock::canonical(path)?;
        open.retain(|_, file| file.strong_count() > 0);
        if let Some(file) = open.get(&path).and_then(Weak::upgrade) {
            return Ok(file);
        }
        let lock = lock::take(&path).await?;
        let db = database::open_file(&path, within).await?;
        if !table::create(&db).await? {
            return Err(BrokerError::Newer(path));
        }
        let file = Arc::new(Self {
            db,
            claiming: AsyncMutex::new(()),
            held: Mutex::default(),
            changed: watch::Sender::new(()),
            published: broadcast::Sender::new(UNHEARD),
            limit,
            _lock: lock,
        });
        open.insert(path, Arc::downgrade(&file));
        Ok(file)
    }

    /// The file of this canonical path, if this process has it open.
    pub(super) async fn shared(path: &Path) -> Option<Arc<Self>> {
        let open = OPEN.lock().await;
        open.as_ref()?.get(path).and_then(Weak::upgrade)
    }

    /// Puts each event into every queue that is bound for it, all in one transaction, and tells listeners. An event whose
    /// queue is full is refused.
    pub(super) async fn publish(
        &self,
        topology: &Topology,
        batch: &[Event],
    ) -> Result<Vec<Result<(), PublishError>>, BrokerError> {
        let transaction = database::begin(&self.db).await?;
        let mut room = HashMap::new();
        for queue in topology
            .queues()
            .iter()
            .filter(|queue| queue.exchange == topology.events())
        {
            let free = table::room(&transaction, &queue.name, topology.max_length()).await?;
            room.insert(queue.name.as_str(), free);
        }
        let (mut rows, mut outcomes) = (Vec::new(), Vec::new());
        for event in batch {
            let bound: Vec<_> = topology.bound_for(event.kind).collect();
            let outcome = if event.kind.is_hint() {
                Ok(())
            } else {
                reserve(&mut room, &bound)
            };
            if outcome.is_ok() {
                rows.extend(bound.iter().map(|queue| (queue.name.as_str(), event)));
            }
            outcomes.push(outcome);
        }
        table::insert(&transaction, &rows).await?;
        transaction.commit().await?;
        self.changed.send_replace(());
        self.tell(batch, &outcomes);
        Ok(outcomes)
    }

    fn tell(&self, batch: &[Event], outcomes: &[Result<(), PublishError>]) {
        if self.published.receiver_count() == 0 {
            return;
        }
        for (event, _) in batch.iter().zip(outcomes).filter(|(_, outcome)| outcome.is_ok()) {
            // Fails if the last listener has just gone.
            let _ = self.published.send(Arc::new(event.clone()));
        }
    }

    /// Hears of every event whose publication is confirmed from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.published.subscribe()
    }

    /// Moves a message to the dead letters.
    pub(super) async fn bury(&self, sequence: i64, death: &Death, topology: &Topology) -> Result<(), PublishError> {
        let burying = async {
            let transaction = database::begin(&self.db).await?;
            let queue = topology.dead_letters();
            if table::room(&transaction, queue, topology.max_length()).await? == 0 {
                return Ok(Err(PublishError::Refused));
            }
            // If it is not there any more, a try without an answer has moved it.
            table::bury(&transaction, sequence, queue, death).await?;
            transaction.commit().await?;
            self.changed.send_replace(());
            Ok(Ok(()))
        };
        match timeout(self.limit, burying).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(error)) => Err(PublishError::Connection(error)),
            Err(_) => Err(PublishError::Unconfirmed),
        }
    }

    pub(super) fn held(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a place in each of the queues, or in none.
fn reserve<'a>(room: &mut HashMap<&'a str, u32>, bound: &[&'a Queue]) -> Result<(), PublishError> {
    if bound.is_empty() {
        return Err(PublishError::Unroutable);
    }
    let free = |queue: &&Queue| room.get(queue.name.as_str()).is_some_and(|free| *free > 0);
    if !bound.iter().all(free) {
        return Err(PublishError::Refused);
    }
    for queue in bound {
        room.entry(queue.name.as_str()).and_modify(|free| *free -= 1);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_takes_a_place_in_all_of_its_queues_or_in_none() {
        let topology = Topology::default();
        let [first, second, ..] = topology.queues() else {
            panic!("there are three");
        };
        let mut room = HashMap::from([(first.name.as_str(), 2), (second.name.as_str(), 1)]);
        assert!(reserve(&mut room, &[first, second]).is_ok());
        let full = reserve(&mut room, &[first, second]);
        assert!(matches!(full, Err(PublishError::Refused)));
        assert_eq!(
            room,
            HashMap::from([(first.name.as_str(), 1), (second.name.as_str(), 0)])
        );
        assert!(matches!(reserve(&mut room, &[]), Err(PublishError::Unroutable)));
    }
}
