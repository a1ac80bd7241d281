//! An open loop: calls begin at their times, whether or not earlier ones have been answered, as those of many people do.

use std::{
    collections::BTreeMap,
    future::Future,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use tokio::time::MissedTickBehavior;
use tokio_util::task::TaskTracker;
use tonic::Status;

use crate::load::histogram;

/// How often calls are begun. All that are due begin together.
const TICK: Duration = Duration::from_millis(2);

/// What came of the calls of a span.
pub struct Offered {
    /// How many calls were due.
    pub offered: u64,
    /// How many were served in time, by the second in which they were due.
    pub served: Vec<u64>,
    /// How long those took, from when they were due, in microseconds.
    pub latency: Histogram<u64>,
    /// How long refusals took.
    pub refusal: Histogram<u64>,
    /// How many were not served in time, by status code.
    pub failed: BTreeMap<String, u64>,
    /// When the last call was due that was not served in time, from the beginning of the span.
    pub last_failure: Option<Duration>,
}

impl Offered {
    fn new(span: Duration) -> Self {
        Self {
            offered: 0,
            served: vec![0; usize::try_from(span.as_secs()).unwrap_or_default().max(1)],
            latency: histogram(),
            refusal: histogram(),
            failed: BTreeMap::new(),
            last_failure: None,
        }
    }

    fn note(&mut self, due: Duration, took: Duration, patience: Duration, answer: &Result<(), Status>) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let failure = match answer {
            Ok(()) if took <= patience => {
                let second = usize::try_from(due.as_secs()).unwrap_or_default();
                let last = self.served.len() - 1;
                self.served[second.min(last)] += 1;
                self.latency.saturating_record(micros);
                return;
            }
            Ok(()) => "late".to_owned(),
            Err(status) => {
                self.refusal.saturating_record(micros);
                format!("{:?}", status.code())
            }
        };
        *self.failed.entry(failure).or_default() += 1;
        self.last_failure = self.last_failure.max(Some(due));
    }
}

/// Offers so many calls a second, and waits until each has come to its end. In time is what is answered within `patience` of
/// when it was due.
pub async fn open_loop<C, F>(per_second: f64, span: Duration, patience: Duration, call: C) -> Offered
where
    C: Fn(usize) -> F,
    F: Future<Output = Result<(), Status>> + Send + 'static,
{
    let offered = Arc::new(Mutex::new(Offered::new(span)));
    let calls = TaskTracker::new();
    let (begun, mut count) = (Instant::now(), 0_usize);
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while begun.elapsed() < span {
        ticks.tick().await;
        let due = (begun.elapsed().min(span).as_secs_f64() * per_second) as usize;
        for number in count..due {
            let due = Duration::from_secs_f64(number as f64 / per_second);
            let (offered, answering) = (Arc::clone(&offered), call(number));
            calls.spawn(async move {
                let answer = answering.await;
                let took = begun.elapsed().saturating_sub(due);
                let mut offered = offered.lock().expect("nobody panics with it");
                offered.note(due, took, patience, &answer);
            });
        }
        count = due;
    }
    calls.close();
    calls.wait().await;
    let mut offered = Arc::into_inner(offered)
        .expect("all calls have ended")
        .into_inner()
        .expect("nobody panicked with it");
    offered.offered = count as u64;
    offered
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_open_loop_does_not_wait_for_answers() {
        let (span, patience) = (Duration::from_secs(1), Duration::from_millis(200));
        let offered = open_loop(100.0, span, patience, |number| async move {
            match number % 4 {
                0 => Err(Status::resource_exhausted("no")),
                1 => {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    Ok(())
                }
                _ => Ok(()),
            }
        })
        .await;
        assert!((90..=100).contains(&offered.offered), "{}", offered.offered);
        let served: u64 = offered.served.iter().sum();
        assert_eq!(served, offered.latency.len());
        assert_eq!(served + offered.failed.values().sum::<u64>(), offered.offered);
        assert!((20..=25).contains(&offered.failed["ResourceExhausted"]));
        assert!((20..=25).contains(&offered.failed["late"]));
        assert!(offered.last_failure.unwrap() > Duration::from_millis(900));
    }
}
