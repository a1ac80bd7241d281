//! One attempt at one delivery, from its claim to the record of its outcome.

use std::time::Duration;

use carepost_rpc::trace_context;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::{Instant, sleep};
use tracing::{Instrument, Span, field::Empty};

use super::{
    mailer::{Mailer, PAUSES},
    message::build,
    recipient::Lookup,
};
use crate::{
    domain::{Answer, Attempt, DeliveryState, Outcome, settle},
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
        let outcome = match self.recipients.look_up(claimed).await {
            Lookup::Found(to, email) => match build(claimed.id, self.transport.from(), &to, &email, self.clock.now()) {
                Ok(email) => self.transport.send(claimed.id, &to, email).await,
                Err(error) => Outcome::Postponed(Answer::new(0, &error.to_string())),
            },
            Lookup::Not(outcome) => outcome,
            Lookup::Unavailable => {
                self.release(claimed).await;
                return Ended::Paused;
            }
        };
        self.finish(claimed, outcome).await;
        Ended::Settled
    }

    /// An attempt that was not made does not count. If this fails, the claim ends with its lease.
    async fn release(&self, claimed: &Claimed) {
        let write = Write {
            organization: &claimed.organization,
            actor: &self.actor,
            now: self.clock.now(),
        };
        if let Err(error) = self.store.release(write, claimed).await {
            tracing::warn!(%error, "a delivery could not be given back");
        }
    }

    async fn finish(&self, claimed: &Claimed, outcome: Outcome) {
        let failures = u32::try_from(claimed.attempt_count).unwrap_or(1);
        let attempt = Attempt {
            created_at: claimed.created_at,
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
            unknown_outcome = settled.unknown_outcome,
            "an attempt ended"
        );
        let write = Write {
            organization: &claimed.organization,
            actor: &self.actor,
            now: attempt.now,
        };
        // What is known now would be lost with this process, and the email sent again. So an outage of the database is waited
        // for, also beyond the lease: this process does not claim what it is still busy with.
        let begun = Instant::now();
        let mut failures = 0;
        loop {
            match self.store.finish(write, claimed, &settled).await {
                Ok(true) => return,
                Ok(false) => return tracing::warn!("the claim had ended: somebody else has the delivery"),
                Err(error) if begun.elapsed() >= LONGEST_OUTAGE => return lost(&error),
                Err(error) => tracing::warn!(%error, failures, "an outcome could not be recorded yet"),
            }
            failures += 1;
            sleep(PAUSES.delay(failures)).await;
        }
    }
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
