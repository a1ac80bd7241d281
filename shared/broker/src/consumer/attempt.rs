//! One message, tried until there is a verdict that lasts. Knows nothing of brokers.

use std::sync::atomic::{AtomicU32, Ordering};

use carepost_runtime::{
    Backoff,
    metrics::{labels::Consumed, metrics},
};
use tokio::{
    sync::{Mutex, MutexGuard},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{Received, Verdict};

/// Lets all handlers through while what they need is up. While it is down, lets one through at a time, after a pause that
/// grows: however many messages wait, an outage sees one try in each pause.
pub(super) struct Gate {
    backoff: Backoff,
    failures: AtomicU32,
    probing: Mutex<()>,
}

/// The right to one try.
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    /// While down: nobody else tries.
    probing: Option<MutexGuard<'a, ()>>,
}

impl Gate {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            backoff,
            failures: AtomicU32::new(0),
            probing: Mutex::new(()),
        }
    }

    /// Waits for the right to a try; None if `ended` comes first.
    pub(super) async fn enter(&self, ended: &CancellationToken) -> Option<Pass<'_>> {
        tokio::select! {
            biased;
            () = ended.cancelled() => None,
            pass = self.pass() => Some(pass),
        }
    }

    async fn pass(&self) -> Pass<'_> {
        if self.failures() == 0 {
            return Pass {
                gate: self,
                probing: None,
            };
        }
        let guard = self.probing.lock().await;
        // Meanwhile it may have come up again.
        match self.failures() {
            0 => Pass {
                gate: self,
                probing: None,
            },
            failures => {
                sleep(self.backoff.delay(failures)).await;
                Pass {
                    gate: self,
                    probing: Some(guard),
                }
            }
        }
    }

    fn failures(&self) -> u32 {
        self.failures.load(Ordering::Acquire)
    }
}

impl Pass<'_> {
    /// What was needed is up.
    pub(super) fn works(self) {
        self.gate.failures.store(0, Ordering::Release);
    }

    /// What was needed is down. Tells how many tries in a row have failed.
    pub(super) fn fails(self) -> u32 {
        let failures = &self.gate.failures;
        if self.probing.is_some() {
            return failures.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        }
        // Many may have been under way when it went down: together they are the first failure.
        failures.fetch_max(1, Ordering::AcqRel).max(1)
    }
}

/// A verdict that lasts.
pub(super) enum Outcome<'a> {
    /// To be acknowledged.
    Done,
    /// To become a dead letter, for this reason.
    Malformed(String, Pass<'a>),
    /// The consumer ended first: the message goes back.
    Abandoned,
}

/// Tries until there is a verdict that lasts, or `ended` comes while it waits for the next try.
pub(super) async fn attempt<'a, H, F>(
    (received, queue): (&Received, &str),
    handler: &H,
    gate: &'a Gate,
    ended: &CancellationToken,
) -> Outcome<'a>
where
    H: Fn(Received) -> F,
    F: Future<Output = Verdict>,
{
    loop {
        let Some(pass) = gate.enter(ended).await else {
            return Outcome::Abandoned;
        };
        match handler(received.clone()).await {
            Verdict::Done => {
                pass.works();
                return Outcome::Done;
            }
            Verdict::Malformed(reason) => return Outcome::Malformed(reason, pass),
            Verdict::Unavailable(reason) => {
                let failures = pass.fails();
                metrics().consumed(queue, Consumed::Retried);
                tracing::warn!(
                    message_id = received.message_id,
                    reason,
                    failures,
                    "the consumer pauses"
                );
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use tokio::time::Instant;

    use super::*;

    fn gate() -> Arc<Gate> {
        Arc::new(Gate::new(Backoff::new(Duration::from_secs(1), Duration::from_secs(60))))
    }

    #[tokio::test(start_paused = true)]
    async fn many_messages_make_one_try_in_each_pause() {
        let (gate, tries, ended) = (gate(), Arc::new(AtomicU32::new(0)), CancellationToken::new());
        let mut tasks = tokio::task::JoinSet::new();
        let begin = Instant::now();
        for _ in 0..50 {
            let (gate, tries, ended) = (gate.clone(), tries.clone(), ended.clone());
            tasks.spawn(async move {
                let handler = |_| {
                    let tries = tries.clone();
                    async move {
                        tokio::task::yield_now().await;
                        match tries.fetch_add(1, Ordering::SeqCst) {
                            0..53 => Verdict::Unavailable("down".into()),
                            _ => Verdict::Done,
                        }
                    }
                };
                matches!(
                    attempt((&Received::default(), ""), &handler, &gate, &ended).await,
                    Outcome::Done
                )
            });
        }
        while let Some(done) = tasks.join_next().await {
            assert!(done.unwrap());
        }
        // 50 at once, then one after each of the pauses of 1, 2, 4 and 8 s (each at least half that); then all the others.
        assert_eq!(tries.load(Ordering::SeqCst), 50 + 3 + 50);
        let took = begin.elapsed().as_secs_f64();
        assert!((7.5..=15.1).contains(&took), "{took}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_end_does_not_wait_for_a_pause() {
        let (gate, ended) = (gate(), CancellationToken::new());
        gate.failures.store(20, Ordering::SeqCst);
        let begin = Instant::now();
        let received = Received::default();
        let waiting = attempt((&received, ""), &|_| async { Verdict::Done }, &gate, &ended);
        let (outcome, ()) = tokio::join!(waiting, async { ended.cancel() });
        assert!(matches!(outcome, Outcome::Abandoned));
        assert_eq!(begin.elapsed(), Duration::ZERO);
    }
}
