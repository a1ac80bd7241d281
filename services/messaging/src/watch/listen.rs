//! Wakes watches: at once by the hints of the broker, and at every heartbeat by comparing revisions.

use std::{collections::HashMap, time::Duration};

use carepost_broker::listener::{Hint, Hints};
use carepost_identity::{OrganizationId, PersonId};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::{
    hub::{Hub, PATIENCE},
    signal::Signal,
    waves::Waves,
};

/// The most persons of one event who are told at once that their own record changed.
const MOST_NAMED: usize = 10;
/// The least time between two comparisons, however often hints are missed or the database fails.
const PAUSE: Duration = Duration::from_secs(1);

impl Hub {
    /// Wakes watches until `stop`.
    pub async fn run(self, mut hints: Hints, stop: CancellationToken) {
        let mut waves = Waves::new(self.settings.abilities_spread);
        let mut compared = Instant::now();
        let mut due = compared + self.settings.heartbeat;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep_until(due) => {
                    compared = Instant::now();
                    due = compared + if self.compare(compared).await { self.settings.heartbeat } else { self.pause() };
                }
                organization = waves.due() => self.places.of_organization(&organization, Signal::abilities_soon),
                hint = hints.next() => match hint {
                    Some(Hint::Missed(_)) => {
                        // Among what was missed may be changes of the directory, which have no revision to compare.
                        self.places.of_all(Signal::abilities_soon);
                        due = due.min(compared + self.pause());
                    }
                    Some(hint) => self.hear(&hint, &mut waves),
                    None => return stop.cancelled().await,
                },
            }
        }
    }

    fn pause(&self) -> Duration {
        PAUSE.min(self.settings.heartbeat)
    }

    /// Wakes every watch that does not stand where its mailbox does. False if the database did not answer.
    async fn compare(&self, now: Instant) -> bool {
        let watched = self.places.watched();
        match timeout(PATIENCE, self.store.revisions(&watched)).await {
            Ok(Ok(revisions)) => {
                let revisions: HashMap<_, _> = revisions.into_iter().collect();
                for mailbox @ (organization, person) in &watched {
                    // One to which nothing ever happened has no row.
                    let revision = revisions.get(mailbox).copied().unwrap_or_default();
                    self.places
                        .of_mailbox(organization, person, |signal| signal.compared(revision));
                }
                self.has_compared(now);
                return true;
            }
            Ok(Err(error)) => tracing::warn!(%error, "revisions could not be compared"),
            Err(_) => tracing::warn!("revisions could not be compared in time"),
        }
        false
    }

    /// A hint that makes no sense wakes nobody: the heartbeat finds what it was about.
    fn hear(&self, hint: &Hint, waves: &mut Waves) {
        match hint {
            Hint::MessageSent(event) => {
                for person in event.recipients.iter().chain([&event.sender]) {
                    self.wake(&event.organization_id, person, Signal::moved);
                }
            }
            Hint::MailboxRead(event) => {
                self.wake(&event.organization_id, &event.person, |signal| {
                    signal.at(event.revision)
                });
            }
            Hint::DirectoryChanged(event) => {
                let staff = event.staff_ids.iter().map(|id| format!("staff/{id}"));
                let users = event.portal_user_ids.iter().map(|id| format!("portal/{id}"));
                // Many at once are an import: that is told like what may concern anybody.
                for person in staff.chain(users).take(MOST_NAMED) {
                    self.wake(&event.organization_id, &person, Signal::abilities);
                }
                if let Ok(organization) = OrganizationId::parse(event.organization_id.as_str()) {
                    waves.change(organization);
                }
            }
            Hint::Missed(_) => {}
        }
    }

    fn wake(&self, organization: &str, person: &str, act: impl Fn(&Signal)) {
        if let (Ok(organization), Ok(person)) = (OrganizationId::parse(organization), PersonId::parse(person)) {
            self.places.of_mailbox(&organization, &person, act);
        }
    }
}
