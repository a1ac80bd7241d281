//! How fast emails may go out: a bucket of tokens, one for each email, that fills evenly and holds a second's worth.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// A limit of emails in a second. After a pause a second's worth may go at once; never more than twice as many in any second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rate {
    per_second: u32,
    /// When the bucket was empty, or would have been.
    empty_at: DateTime<Utc>,
}

impl Rate {
    /// A limit of at least one in a second, whose bucket is full.
    #[must_use]
    pub fn new(per_second: u32, now: DateTime<Utc>) -> Self {
        Self {
            per_second: per_second.max(1),
            empty_at: now - SECOND,
        }
    }

    /// How many may go now.
    #[must_use]
    pub fn available(&self, now: DateTime<Utc>) -> usize {
        let filled = (now - self.from(now)).num_microseconds().unwrap_or_default();
        usize::try_from(filled / self.cost_micros()).unwrap_or_default()
    }

    /// Counts so many as gone.
    pub fn take(&mut self, count: usize, now: DateTime<Utc>) {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        let cost = TimeDelta::microseconds(self.cost_micros().saturating_mul(count));
        self.empty_at = self.from(now).checked_add_signed(cost).unwrap_or(now);
    }

    /// How long until the next one may go.
    #[must_use]
    pub fn wait(&self, now: DateTime<Utc>) -> Duration {
        let next = self.from(now) + TimeDelta::microseconds(self.cost_micros());
        (next - now).to_std().unwrap_or_default()
    }

    /// The bucket holds no more than a second's worth. If the clock was set back, it is empty now.
    fn from(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        self.empty_at.max(now - SECOND).min(now)
    }

    fn cost_micros(&self) -> i64 {
        i64::from(1_000_000_u32.div_ceil(self.per_second))
    }
}

#[cfg(test)]
mod tests {
    use carepost_runtime::Clock;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_second_s_worth_goes_at_once_and_then_one_after_the_other() {
        let clock = Clock::manual(DateTime::UNIX_EPOCH);
        let mut rate = Rate::new(10, clock.now());
        assert_eq!(rate.available(clock.now()), 10);
        rate.take(10, clock.now());
        assert_eq!(
            (rate.available(clock.now()), rate.wait(clock.now())),
            (0, Duration::from_millis(100))
        );
        clock.advance(TimeDelta::milliseconds(99));
        assert_eq!(
            (rate.available(clock.now()), rate.wait(clock.now())),
            (0, Duration::from_millis(1))
        );
        clock.advance(TimeDelta::milliseconds(1));
        assert_eq!(
            (rate.available(clock.now()), rate.wait(clock.now())),
            (1, Duration::ZERO)
        );
        clock.advance(TimeDelta::hours(1));
        assert_eq!(
            rate.available(clock.now()),
            10,
            "a pause saves no more than a second's worth"
        );
    }

    #[test]
    fn a_clock_that_is_set_back_stops_nothing() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::hours(1);
        let mut rate = Rate::new(2, now);
        rate.take(2, now);
        let before = DateTime::UNIX_EPOCH;
        assert_eq!(
            (rate.available(before), rate.wait(before)),
            (0, Duration::from_millis(500))
        );
        rate.take(0, before);
        assert_eq!(rate.available(before + TimeDelta::milliseconds(500)), 1);
    }

    proptest! {
        #[test]
        fn no_more_than_the_limit_and_a_burst_go_in_any_span(
            per_second in 1_u32..2_000,
            steps in prop::collection::vec(0_i64..400, 1..60),
        ) {
            let clock = Clock::manual(DateTime::UNIX_EPOCH);
            let mut rate = Rate::new(per_second, clock.now());
            let mut gone = 0;
            for step in steps {
                clock.advance(TimeDelta::milliseconds(step));
                let now = clock.now();
                let most = rate.available(now);
                rate.take(most, now);
                gone += i64::try_from(most).unwrap();
                let elapsed = (now - DateTime::UNIX_EPOCH).num_milliseconds();
                prop_assert!(gone * 1_000 <= i64::from(per_second) * (elapsed + 1_000));
            }
        }
    }
}
