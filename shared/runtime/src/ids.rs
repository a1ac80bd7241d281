//! Randomness, as values.

use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::{NoContext, Timestamp, Uuid};

/// Makes the ids of new things: UUIDs of version 7, which sort by the time they are given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ids;

impl Ids {
    /// A new id, for something that happens `now`.
    #[must_use]
    pub fn next(self, now: DateTime<Utc>) -> Uuid {
        let seconds = u64::try_from(now.timestamp()).unwrap_or_default();
        Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, now.timestamp_subsec_nanos()))
    }
}

/// Delays between tries: doubling from the first to the longest, each spread over its upper half, so that many who failed
/// together do not come back together.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
}

impl Backoff {
    /// Delays from about `first` up to `longest`.
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest }
    }

    /// How long to wait after the given number of failures in a row (1 for the first).
    #[must_use]
    pub fn delay(&self, failures: u32) -> Duration {
        self.spread(failures, random_fraction())
    }

    fn spread(&self, failures: u32, fraction: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        full.mul_f64(0.5 + fraction / 2.0)
    }
}

#[allow(clippy::disallowed_methods, reason = "the one place where randomness enters")]
fn random_fraction() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness the delay is just not spread.
    if getrandom::fill(&mut bytes).is_err() {
        return 1.0;
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_longest() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let full: Vec<_> = [1, 2, 3, 4, 5, 99].map(|n| backoff.spread(n, 1.0).as_millis()).into();
        assert_eq!(full, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.spread(2, 0.0).as_millis(), 100);
    }

    #[test]
    fn ids_sort_by_time() {
        let early = Ids.next(DateTime::UNIX_EPOCH);
        let late = Ids.next(DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(1));
        assert!(early < late && early != Ids.next(DateTime::UNIX_EPOCH));
    }
}
