//! One attempt at one delivery, from its claim to the record of its outcome.

use std::{panic::AssertUnwindSafe, time::Duration};

use carepost_audit::Occasion;
use carepost_rpc::trace_context;
use futures::FutureExt;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span, field::Empty};

use super::{
    mailer::{Mailer, PAUSES},
    message::build,
    recipient::Lookup,
};
use crate::{
    counts,
    domain::{Answer, Attempt, DeliveryState, Outcome, given_up, settle},
    store::{Claimed, StoreError, Write},
};

/// How long an outcome is held when the database does not take it.
const LONGEST_OUTAGE: Duration = Duration::from_secs(15 * 60);

/// How an attempt ended, as far as the mailer cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// With an outcome.
    Settled,
    /// Nothing was tried, because eligibility does not answer.
    Paused,
}

impl Mailer {
    /// Makes one attempt, in the trace of the event.
    pub(super) async fn attempt(&self, claimed: Claimed) -> Ended {
        let span = tracing::info_span!(
            "send_email",
            delivery = %claimed.id,
            organization = %claimed.organization,
            attempt = claimed.attempt_count,
            trace_id = Empty
        );
        continue_trace(&span, claimed.traceparent.as_deref());
        self.attempt_in_span(&claimed).instrument(span).await
    }

    async fn attempt_in_span(&self, claimed: &Claimed) -> Ended {
        match panic_free(Box::pin(self.outcome(claimed))).await {
            Some(outcome) => {
                self.finish(claimed, outcome).await;
                Ended::Settled
            }
            None => {
                self.release(claimed).await;
                Ended::Paused
            }
        }
    }

    /// Tries; none if eligibility does not answer.
    async fn outcome(&self, claimed: &Claimed) -> Option<Outcome> {
        if let Some(outcome) = given_up(claimed.unknown_since_start) {
            return Some(outcome);
        }
        let (to, email) = match self.recipients.look_up(claimed).await {
            Lookup::Found(to, email) => (to, email),
            Lookup::Not(outcome) => return Some(outcome),
            Lookup::Unavailable => return None,
        };
        match build(claimed.id, self.transport.from(), &to, &email, self.clock.now()) {
            Ok(email) => Some(self.transport.send(claimed.id, &to, email).await),
            Err(error) => Some(Outcome::Postponed(Answer::new(0, &error.to_string()))),
        }
    }

    /// An attempt that was not made does not count. If this fails, the claim ends with its lease.
    async fn release(&self, claimed: &Claimed) {
        let occasion = Occasion::own(claimed.id, "mailer");
        let write = Write {
            organization: &claimed.organization,
            actor: &self.actor,
            now: self.clock.now(),
            occasion: &occasion,
        };
        if let Err(error) = self.store.release(write, claimed).await {
            tracing::warn!(%error, "a delivery could not be given back");
        }
    }

    async fn finish(&self, claimed: &Claimed, outcome: Outcome) {
        let failures = u32::try_from(claimed.attempts_since_start).unwrap_or(1);
        let attempt = Attempt {
            started_at: claimed.started_at,
            unknown_outcomes: claimed.unknown_since_start,
            now: self.clock.now(),
            backoff: self.settings.retry.delay(failures),
            give_up_after: self.settings.give_up_after,
        };
        let settled = settle(&attempt, outcome);
        if settled.state == DeliveryState::Failed {
            // Somebody will not be told of a message: an operator should know.
            let code = settled.answer.as_ref().map(Answer::code);
            tracing::warn!(delivery = %claimed.id, code, "a delivery failed for good");
        }
        tracing::info!(
            state = ?settled.state,
            code = settled.answer.as_ref().map(Answer::code),
            unknown_outcome = settled.is_unknown(),
            "an attempt ended"
        );
        let occasion = Occasion::own(claimed.id, "mailer");
        let write = Write {
            organization: &claimed.organization,
            actor: &self.actor,
            now: attempt.now,
            occasion: &occasion,
        };
        // What is known now would be lost with this process, and the email sent again. So an outage of the database is waited
        // for, also beyond the lease: this process does not claim what it is still busy with.
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            match self.store.finish(write, claimed, &settled).await {
                Ok(true) => return counts::attempt_ended(&settled),
                Ok(false) => return tracing::warn!("the claim had ended: somebody else has the delivery"),
                Err(error) if begun.elapsed() >= LONGEST_OUTAGE => return lost(&error),
                Err(error) => tracing::warn!(%error, failures, "an outcome could not be recorded yet"),
            }
            failures += 1;
            sleep(PAUSES.delay(failures)).await;
        }
    }
}

/// A panic ends this attempt alone. What it had done by then nobody knows.
async fn panic_free(outcome: impl Future<Output = Option<Outcome>>) -> Option<Outcome> {
    let caught = AssertUnwindSafe(outcome).catch_unwind().await;
    caught.unwrap_or_else(|_| {
        tracing::error!("an attempt panicked");
        Some(Outcome::Unknown(Answer::new(
            0,
            "the attempt panicked: a fault of this program",
        )))
    })
}

fn lost(error: &StoreError) {
    tracing::error!(%error, "an outcome could not be recorded: it counts as unknown, and the delivery is tried again");
}

fn continue_trace(span: &Span, traceparent: Option<&str>) {
    let header = traceparent.and_then(|text| HeaderValue::from_str(text).ok());
    let headers: HeaderMap = header
        .map(|value| (HeaderName::from_static("traceparent"), value))
        .into_iter()
        .collect();
    trace_context::continue_from(span, &headers);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn n3_an_attempt_that_panics_is_one_with_an_unknown_outcome() {
        let accepted = Outcome::Accepted(Answer::new(250, "ok"));
        let panics = async { panic!("by a test") };
        assert_eq!(panic_free(async { Some(accepted.clone()) }).await, Some(accepted));
        assert_eq!(panic_free(async { None }).await, None);
        assert!(matches!(panic_free(panics).await, Some(Outcome::Unknown(_))));
    }
}
