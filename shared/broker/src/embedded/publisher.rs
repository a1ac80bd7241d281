//! Publishes to the embedded broker.

use std::{path::PathBuf, sync::Arc};

use tokio::{sync::OnceCell, time::timeout};

use super::file::BrokerFile;
use crate::{error::BrokerError, event::Event, publisher::PublishError, settings::BrokerSettings};

/// Publishes to the file of its settings, which it opens when it is needed and keeps.
pub(crate) struct EmbeddedPublisher {
    path: PathBuf,
    settings: BrokerSettings,
    file: OnceCell<Arc<BrokerFile>>,
}

impl EmbeddedPublisher {
    pub(crate) fn new(path: PathBuf, settings: BrokerSettings) -> Self {
        let file = OnceCell::new();
        Self { path, settings, file }
    }

    pub(crate) async fn ready(&self) -> Result<(), BrokerError> {
        self.file().await.map(drop)
    }

    /// What is confirmed is on disk.
    pub(crate) async fn publish(&self, batch: &[Event]) -> Vec<Result<(), PublishError>> {
        if batch.is_empty() {
            return Vec::new();
        }
        let all = |error: PublishError| batch.iter().map(|_| Err(error.clone())).collect();
        let file = match self.file().await {
            Ok(file) => file,
            Err(error) => return all(error.into()),
        };
        let publishing = file.publish(&self.settings.topology, batch);
        match timeout(self.settings.confirm_timeout, publishing).await {
            Ok(Ok(outcomes)) => outcomes,
            Ok(Err(error)) => all(error.into()),
            Err(_) => all(PublishError::Unconfirmed),
        }
    }

    async fn file(&self) -> Result<&Arc<BrokerFile>, BrokerError> {
        let BrokerSettings {
            connect_timeout,
            confirm_timeout,
            ..
        } = self.settings;
        let opening = || BrokerFile::open(&self.path, connect_timeout, confirm_timeout);
        self.file.get_or_try_init(opening).await
    }
}
