//! What one consumer has of a queue.

use std::{collections::HashSet, sync::Arc};

use tokio::{sync::watch, time::timeout};

use super::{
    file::BrokerFile,
    table::{self, Claimed},
};
use crate::error::BrokerError;

/// A consumer's hold on messages of a queue. When it is dropped, however that comes, they are free again.
pub(super) struct Subscription {
    file: Arc<BrokerFile>,
    queue: String,
    mine: HashSet<i64>,
    changed: watch::Receiver<()>,
}

impl Subscription {
    pub(super) fn new(file: Arc<BrokerFile>, queue: &str) -> Self {
        let (mine, changed) = (HashSet::new(), file.changed.subscribe());
        let queue = queue.to_owned();
        Self {
            file,
            queue,
            mine,
            changed,
        }
    }

    /// Takes the oldest messages that nobody has, at most this many.
    pub(super) async fn take(&mut self, limit: usize) -> Result<Vec<Claimed>, BrokerError> {
        // What comes from here on is a new change.
        self.changed.mark_unchanged();
        let claiming = async {
            let _alone = self.file.claiming.lock().await;
            let held = json(self.file.held().iter());
            let claimed = table::claim(&self.file.db, &self.queue, held, limit).await?;
            self.mine.extend(claimed.iter().map(|message| message.sequence));
            self.file.held().extend(&self.mine);
            Ok(claimed)
        };
        timeout(self.file.limit, claiming)
            .await
            .unwrap_or(Err(BrokerError::Timeout))
    }

    /// Has the broker forget messages.
    pub(super) async fn acknowledge(&mut self, sequences: &[i64]) -> Result<(), BrokerError> {
        if sequences.is_empty() {
            return Ok(());
        }
        let deleting = table::delete(&self.file.db, json(sequences.iter()));
        timeout(self.file.limit, deleting)
            .await
            .map_err(|_| BrokerError::Timeout)??;
        self.release(sequences);
        Ok(())
    }

    /// Holds messages no longer, wherever they are now.
    pub(super) fn release(&mut self, sequences: &[i64]) {
        let mut held = self.file.held();
        for sequence in sequences {
            self.mine.remove(sequence);
            held.remove(sequence);
        }
    }

    /// Returns when there may be messages that the last [`Subscription::take`] did not see.
    pub(super) async fn changed(&mut self) {
        if self.changed.changed().await.is_err() {
            // The sender is in the file, which this keeps.
            std::future::pending().await
        }
    }

    /// How many messages it has.
    pub(super) fn len(&self) -> usize {
        self.mine.len()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.file.held().retain(|sequence| !self.mine.contains(sequence));
        self.file.changed.send_replace(());
    }
}

fn json<'a>(sequences: impl Iterator<Item = &'a i64>) -> String {
    let numbers: Vec<_> = sequences.map(ToString::to_string).collect();
    format!("[{}]", numbers.join(","))
}
