//! Copies of names that a reader's answer from eligibility showed to be old.

use carepost_identity::OrganizationId;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use super::Inbox;
use crate::{domain::Named, eligibility::MOST_NAMES};

/// How many wait to be refreshed. What comes then is dropped: whoever reads the copy next sees it again.
const WAITING: usize = 64;

/// Where a reader tells of old copies.
#[derive(Clone, Debug)]
pub struct Outdated(Sender<(OrganizationId, Named)>);

/// What readers have told.
#[derive(Debug)]
pub struct OutdatedReceiver(Receiver<(OrganizationId, Named)>);

impl Outdated {
    /// Both ends.
    #[must_use]
    pub fn new() -> (Self, OutdatedReceiver) {
        let (sender, receiver) = channel(WAITING);
        (Self(sender), OutdatedReceiver(receiver))
    }

    /// Tells of them, without waiting.
    pub fn tell(&self, organization: &OrganizationId, named: Named) {
        if !named.is_empty() {
            // Full or closed: somebody will see it again.
            let _ = self.0.try_send((organization.clone(), named));
        }
    }
}

impl Inbox {
    /// Refreshes what readers tell of, until the process stops.
    pub async fn refresh_outdated(self, mut seen: OutdatedReceiver, stopping: CancellationToken) {
        let refreshing = async {
            while let Some((organization, named)) = seen.0.recv().await {
                for named in named.in_groups(MOST_NAMES) {
                    if let Err(error) = self.refresh(&organization, &named).await {
                        tracing::warn!(%error, "names that a reader saw to be old could not be refreshed");
                    }
                }
            }
        };
        stopping.run_until_cancelled(refreshing).await;
    }
}
