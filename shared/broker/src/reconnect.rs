//! One session with the broker after the other.

use std::time::Duration;

use carepost_runtime::Backoff;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::error::BrokerError;

/// A session that lasted this long was a good one: what ends it is a new failure, not one more in a row.
const GOOD: Duration = Duration::from_secs(30);

/// Works through one session after the other, until `stop`. `what` is told to the log when one fails.
pub(crate) async fn again<F>(what: &str, backoff: Backoff, stop: &CancellationToken, session: impl Fn() -> F)
where
    F: Future<Output = Result<(), BrokerError>>,
{
    let mut failures = 0;
    while !stop.is_cancelled() {
        let begin = Instant::now();
        let Err(error) = session().await else {
            continue;
        };
        failures = if begin.elapsed() >= GOOD { 1 } else { failures + 1 };
        tracing::warn!(%error, failures, queue = what, "the queue cannot be consumed");
        tokio::select! {
            () = stop.cancelled() => {}
            () = sleep(backoff.delay(failures)) => {}
        }
    }
}
