//! What is done about one event.

use std::{collections::BTreeMap, time::Duration};

use carepost_audit::Occasion;
use carepost_broker::{
    consumer::{Received, Verdict},
    event::EventKind,
};
use carepost_identity::{Actor, ChartId, OrganizationId};
use carepost_rpc::{deadline::Deadline, peer::PeerError};
use carepost_runtime::{Clock, DatabaseFault};
use tokio::time::timeout;
use tonic::Code;
use uuid::Uuid;

use super::decode;
use crate::{
    domain::{Named, Names},
    eligibility::{Eligibility, MOST_NAMES, NoDecision},
    store::{NAMES_AT_ONCE, OtherPatient, Store, StoreError, Write},
};

/// How many conversations are looked for at once, for each hundred names.
const BATCH: u64 = 500;
/// How many times in a row. What is left then is done at the next try.
const ROUNDS: usize = 200;
/// How long eligibility may take to say who of them is connected to a chart, and the database to read some or to write one.
const PATIENCE: Duration = Duration::from_secs(30);

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

impl NotNow {
    /// Whether it may go well later. What eligibility refuses, or nobody can read, is the same at the next try, and would hold up
    /// the names of everybody else. A token of ours that is not accepted concerns every question, so it is like an outage.
    fn passes(&self) -> bool {
        match self {
            Self::More | Self::Eligibility(NoDecision::Peer(PeerError::Unavailable(_))) => true,
            Self::Eligibility(NoDecision::Peer(PeerError::Refused(_, status))) => {
                status.code() == Code::Unauthenticated
            }
            Self::Store(StoreError::Database(fault)) => *fault == DatabaseFault::Unavailable,
            Self::Eligibility(NoDecision::Answer) | Self::Store(_) => false,
        }
    }
}

impl Inbox {
    /// Writes the names of now wherever a conversation has others. To see an event again, late or out of order changes nothing:
    /// an event only says what to ask.
    ///
    /// Only an outage lets the event, and all that come after it, wait.
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
        let organization = &event.organization;
        for named in event.named.in_groups(MOST_NAMES) {
            match self.refresh(organization, &named).await {
                Ok(()) => {}
                Err(error) if error.passes() => return Verdict::Unavailable(error.to_string()),
                Err(error) => {
                    let event = received.message_id.as_deref().unwrap_or_default();
                    tracing::error!(%error, %organization, event, "names are not refreshed: to try again would not help");
                }
            }
        }
        Verdict::Done
    }

    /// Asks and writes until nothing differs from what was asked last. So whoever writes a name looks once more after that, and
    /// of two that do it at once, no older name stays: the one that wrote it sees the newer one.
    ///
    /// Each conversation is a transaction of its own: a name that is in many of them holds nobody up.
    pub(super) async fn refresh(&self, organization: &OrganizationId, named: &Named) -> Result<(), NotNow> {
        let known = in_time(self.store.in_conversations(organization, named)).await?;
        if known.is_empty() {
            return Ok(());
        }
        for _ in 0..ROUNDS {
            let names = self.eligibility.names(organization, &known).await?;
            // Patients first: who gets the new one gets the new names of persons in the same change.
            let mut written = 0;
            for patients in names.patients_in_groups(NAMES_AT_ONCE) {
                written += self.refresh_patients(organization, &names, &patients).await?;
            }
            let differing = self.store.with_other_persons(organization, &names, BATCH);
            let conversations = in_time(differing).await?;
            self.rename(organization, &conversations, &names.of_persons()).await?;
            written += conversations.len();
            if written == 0 {
                return Ok(());
            }
            tracing::info!(%organization, conversations = written, "names were refreshed");
        }
        Err(NotNow::More)
    }

    /// Writes the names of patients, and with them those of persons, wherever a copy differs and everybody may know the new one.
    /// Tells how many conversations that were.
    async fn refresh_patients(
        &self,
        organization: &OrganizationId,
        names: &Names,
        patients: &BTreeMap<ChartId, String>,
    ) -> Result<usize, NotNow> {
        let (mut after, mut written) = (Uuid::nil(), 0);
        loop {
            let differing = self.store.with_other_patients(organization, patients, after, BATCH);
            let others = in_time(differing).await?;
            let Some(last) = others.last() else {
                return Ok(written);
            };
            after = last.id;
            let conversations = self.where_known(organization, others).await?;
            self.rename(organization, &conversations, names).await?;
            written += conversations.len();
        }
    }

    /// Those of these conversations in which a new name of the patient is told: among staff, and where the portal user is
    /// connected to the chart now. They are asked after the name is known: whoever is connected then may know it.
    async fn where_known(&self, organization: &OrganizationId, others: Vec<OtherPatient>) -> Result<Vec<Uuid>, NotNow> {
        let (portal, staff): (Vec<_>, Vec<_>) = others.into_iter().partition(|other| other.portal.is_some());
        let parties: Vec<_> = portal.iter().filter_map(|other| other.portal.clone()).collect();
        let deadline = Deadline::after(PATIENCE);
        let decisions = self.eligibility.check_replies(organization, deadline, &parties).await?;
        let connected = portal.iter().zip(decisions);
        let connected = connected.filter(|(_, decision)| decision.portal_user_connected);
        let connected = connected.map(|(other, _)| other.id);
        Ok(staff.iter().map(|other| other.id).chain(connected).collect())
    }

    async fn rename(
        &self,
        organization: &OrganizationId,
        conversations: &[Uuid],
        names: &Names,
    ) -> Result<(), StoreError> {
        // Copies of names are refreshed; nobody changes a conversation, so the audit trail has nothing of it.
        let occasion = Occasion::own(Uuid::nil(), "event/DirectoryChanged");
        for conversation in conversations {
            let write = Write {
                organization,
                actor: &self.actor,
                now: self.clock.now(),
                occasion: &occasion,
            };
            in_time(self.store.rename(write, *conversation, names)).await?;
        }
        Ok(())
    }
}

/// A database that falls silent is one that is down. Nobody's deadline ends what an event asks for.
async fn in_time<T>(work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    let given_up = Err(StoreError::Database(DatabaseFault::Unavailable));
    timeout(PATIENCE, work).await.unwrap_or(given_up)
}
