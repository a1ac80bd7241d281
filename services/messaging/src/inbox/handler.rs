//! What is done about one event.

use carepost_broker::{
    consumer::{Received, Verdict},
    event::EventKind,
};
use carepost_identity::{Actor, OrganizationId};
use carepost_runtime::Clock;

use super::decode;
use crate::{
    domain::Named,
    eligibility::{Eligibility, MOST_NAMES, NoDecision},
    store::{Store, StoreError, Write},
};

/// How many conversations are looked for at once, for each hundred names.
const BATCH: u64 = 500;
/// How many times in a row. What is left then is done at the next try.
const ROUNDS: usize = 200;

/// Refreshes names.
#[derive(Clone)]
pub struct Inbox {
    /// Conversations.
    pub store: Store,
    /// What everybody is called.
    pub eligibility: Eligibility,
    /// Who writes.
    pub actor: Actor,
    /// The time.
    pub clock: Clock,
}

/// Why names could not be refreshed now.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotNow {
    #[error(transparent)]
    Eligibility(#[from] NoDecision),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("there are more names to refresh")]
    More,
}

impl Inbox {
    /// Writes the names of now wherever a conversation has others. To see an event again, late or out of order changes nothing:
    /// an event only says what to ask.
    pub async fn handle(self, received: Received) -> Verdict {
        if received
            .message_type
            .as_deref()
            .is_some_and(|found| found != EventKind::DirectoryChanged.message_type())
        {
            return Verdict::Malformed("the event is of another type".to_owned());
        }
        let event = match decode::directory_changed(&received.body) {
            Ok(event) => event,
            Err(malformed) => return Verdict::Malformed(malformed.to_string()),
        };
        for named in event.named.in_groups(MOST_NAMES) {
            if let Err(error) = self.refresh(&event.organization, &named).await {
                return Verdict::Unavailable(error.to_string());
            }
        }
        Verdict::Done
    }

    /// Asks and writes until nothing differs from what was asked last. So whoever writes a name looks once more after that, and
    /// of two that do it at once, no older name stays: the one that wrote it sees the newer one.
    ///
    /// Each conversation is a transaction of its own: a name that is in many of them holds nobody up.
    pub(super) async fn refresh(&self, organization: &OrganizationId, named: &Named) -> Result<(), NotNow> {
        let known = self.store.in_conversations(organization, named).await?;
        if known.is_empty() {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let names = self.eligibility.names(organization, &known).await?;
            let conversations = self.store.with_other_names(organization, &names, BATCH).await?;
            if conversations.is_empty() {
                return Ok(());
            }
            for conversation in &conversations {
                let write = Write {
                    organization,
                    actor: &self.actor,
                    now: self.clock.now(),
                };
                self.store.rename(write, *conversation, &names).await?;
            }
            tracing::info!(%organization, conversations = conversations.len(), "names were refreshed");
        }
        Err(NotNow::More)
    }
}
