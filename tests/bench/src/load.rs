//! A closed loop: so many callers, each calling again as soon as it is answered.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tonic::{Code, Status};

/// How many calls are under way at once, in each measurement.
pub const IN_FLIGHT: [usize; 2] = [1, 64];
/// How many connections they share.
pub const CONNECTIONS: usize = 4;
/// For how long calls are made and not counted.
pub const WARM_UP: Duration = Duration::from_secs(2);
/// How long a call may take before it counts as refused.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest latency that is told apart, in microseconds.
const LONGEST: u64 = 60_000_000;

/// What was measured.
pub struct Measured {
    /// How many calls were under way at once.
    pub in_flight: usize,
    /// How many were answered well in a second.
    pub per_second: f64,
    /// Their latencies, in microseconds.
    pub latency: Histogram<u64>,
    /// How many were refused, by status code. They count nowhere else.
    pub refused: BTreeMap<String, u64>,
}

impl Measured {
    /// A latency in milliseconds that this share of calls (0 to 1) did not exceed.
    pub fn quantile(&self, share: f64) -> f64 {
        self.latency.value_at_quantile(share) as f64 / 1_000.0
    }
}

/// Latencies, empty.
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LONGEST, 3).expect("bounds that fit together")
}

/// What one caller saw.
struct Seen {
    latency: Histogram<u64>,
    refused: HashMap<Code, u64>,
}

/// Runs the loop. Counted is what both begins and ends in the span after the warm-up. The call is given the number of its
/// caller, from 0.
pub async fn closed_loop<C, F>(in_flight: usize, span: Duration, call: C) -> Measured
where
    C: Fn(usize) -> F + Send + Sync + 'static,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let call = Arc::new(call);
    let begin = Instant::now() + WARM_UP;
    let callers: Vec<_> = (0..in_flight)
        .map(|caller| {
            let call = Arc::clone(&call);
            tokio::spawn(async move { one_caller(begin, begin + span, || call(caller)).await })
        })
        .collect();
    let mut measured = Measured {
        in_flight,
        per_second: 0.0,
        latency: histogram(),
        refused: BTreeMap::new(),
    };
    for caller in callers {
        let seen = caller.await.expect("a caller does not panic");
        measured.latency.add(seen.latency).expect("the same bounds");
        for (code, count) in seen.refused {
            *measured.refused.entry(format!("{code:?}")).or_default() += count;
        }
    }
    measured.per_second = measured.latency.len() as f64 / span.as_secs_f64();
    measured
}

async fn one_caller<F>(begin: Instant, end: Instant, call: impl Fn() -> F) -> Seen
where
    F: Future<Output = Result<(), Status>>,
{
    let mut seen = Seen {
        latency: histogram(),
        refused: HashMap::new(),
    };
    loop {
        let called = Instant::now();
        if called >= end {
            return seen;
        }
        let answer = tokio::time::timeout(PATIENCE, call()).await;
        let answer = answer.unwrap_or_else(|_| Err(Status::deadline_exceeded("no answer")));
        let answered = Instant::now();
        if called < begin || answered > end {
            continue;
        }
        match answer {
            Ok(()) => {
                let micros = u64::try_from((answered - called).as_micros()).unwrap_or(LONGEST);
                seen.latency.saturating_record(micros);
            }
            Err(status) => *seen.refused.entry(status.code()).or_default() += 1,
        }
    }
}

/// A number that follows from another without a pattern (SplitMix64).
pub fn scattered(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_closed_loop_counts_answers_within_the_span_and_refusals_apart() {
        let span = Duration::from_millis(300);
        let measured = closed_loop(3, span, |caller| async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if caller == 0 {
                Err(Status::unavailable("no"))
            } else {
                Ok(())
            }
        })
        .await;
        let answered = measured.latency.len();
        assert!((2..=60).contains(&answered), "{answered}");
        assert_eq!(measured.per_second, answered as f64 / 0.3);
        assert!(measured.quantile(0.5) >= 10.0);
        assert!((1..=30).contains(&measured.refused["Unavailable"]));
    }

    #[test]
    fn scattered_numbers_reach_everything_about_equally_often() {
        let mut hits = [0; 10];
        for number in 0..10_000 {
            hits[(scattered(number) % 10) as usize] += 1;
        }
        assert!(hits.iter().all(|hits| (900..1_100).contains(hits)), "{hits:?}");
    }
}
