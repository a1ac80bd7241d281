//! When the watches of an organization are told that reply abilities of anybody may have changed: at the first change, and then
//! no more often than once in a while, however many changes there are.

use std::{collections::HashMap, time::Duration};

use carepost_identity::OrganizationId;
use tokio::time::{Instant, sleep_until};

/// The organizations whose watches were woken a while ago at most. There are no more than organizations that change.
pub(super) struct Waves {
    least: Duration,
    woken: HashMap<OrganizationId, Woken>,
}

struct Woken {
    /// From when on they may be woken again.
    again: Instant,
    /// Whether they are to be.
    changed: bool,
}

impl Waves {
    /// None; `least` is between two of an organization.
    pub fn new(least: Duration) -> Self {
        Self {
            least,
            woken: HashMap::new(),
        }
    }

    /// Something changed in an organization.
    pub fn change(&mut self, organization: OrganizationId) {
        let first = Woken {
            again: Instant::now(),
            changed: true,
        };
        self.woken.entry(organization).or_insert(first).changed = true;
    }

    /// The next organization whose watches are to be woken, once it is time. It can be dropped while it waits.
    pub async fn due(&mut self) -> OrganizationId {
        loop {
            let next = self.woken.iter().min_by_key(|(_, woken)| woken.again);
            let Some((organization, again)) = next.map(|(organization, woken)| (organization.clone(), woken.again))
            else {
                return std::future::pending().await;
            };
            sleep_until(again).await;
            if self.take(&organization) {
                return organization;
            }
        }
    }

    /// Whether its watches are to be woken now. One to which nothing happened since is forgotten.
    fn take(&mut self, organization: &OrganizationId) -> bool {
        let again = Instant::now() + self.least;
        match self.woken.get_mut(organization) {
            Some(woken) if woken.changed => {
                *woken = Woken { again, changed: false };
                true
            }
            _ => {
                self.woken.remove(organization);
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn many_changes_are_one_wave_at_once_and_one_more_later() {
        let organization: OrganizationId = "southern".parse().unwrap();
        let least = Duration::from_millis(300);
        let mut waves = Waves::new(least);
        waves.change(organization.clone());
        waves.due().await;
        let first = Instant::now();
        for _ in 0..1_000 {
            waves.change(organization.clone());
        }
        assert_eq!(waves.due().await, organization);
        assert!(
            first.elapsed() + Duration::from_millis(50) >= least,
            "not before its time"
        );
        assert!(timeout(3 * least, waves.due()).await.is_err(), "nothing changed since");
        assert!(waves.woken.is_empty(), "nothing is left of it");
    }
}
