//! The state machine of a delivery: what an attempt's outcome makes of it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::{AttemptOutcome, DeliveryState, SuppressionReason};

/// The most characters of an answer that are kept.
pub const MAX_ANSWER: usize = 500;

/// After so many attempts without a known outcome a delivery is given up: each of them may have been an email, and one that
/// panics, or kills its process, would go on for ever.
pub const MAX_UNKNOWN_OUTCOMES: i32 = 20;

/// What a mail server answered, what became of a file, or what went wrong: in one line, at most [`MAX_ANSWER`] characters,
/// without addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    code: u16,
    text: String,
}

impl Answer {
    /// An answer with its code; 0 for one that is not the server's. Every word that holds an `@` is left out.
    #[must_use]
    pub fn new(code: u16, text: &str) -> Self {
        let words = text
            .split(|c: char| c.is_whitespace() || c.is_control())
            .filter(|word| !word.is_empty());
        let clean = words.map(|word| if word.contains('@') { "[address]" } else { word });
        let line = clean.collect::<Vec<_>>().join(" ");
        let text = line.chars().take(MAX_ANSWER).collect();
        Self { code, text }
    }

    /// SMTP code, 200 to 599, or 0.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.code
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The mail server has the email, or the folder.
    Accepted(Answer),
    /// It will never take it.
    Refused(Answer),
    /// It certainly has not got it, and may take it later.
    Postponed(Answer),
    /// It may or may not have it.
    Unknown(Answer),
    /// Nothing was to be sent.
    Suppressed(SuppressionReason),
}

/// What is to be known of an attempt to decide what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// When the delivery was recorded, or when an operator last made it begin anew.
    pub started_at: DateTime<Utc>,
    /// How many attempts had ended without a known outcome since then.
    pub unknown_outcomes: i32,
    /// When the attempt ended.
    pub now: DateTime<Utc>,
    /// How long to wait before the next one, if there is to be one: the backoff after this many attempts.
    pub backoff: Duration,
    /// How long after it was started a delivery is given up.
    pub give_up_after: Duration,
}

/// What a delivery becomes by an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The state.
    pub state: DeliveryState,
    /// When it is tried again: present exactly if the state is [`DeliveryState::Retrying`].
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// How the attempt ended.
    pub outcome: AttemptOutcome,
    /// What is kept of the answer; none leaves the one before.
    pub answer: Option<Answer>,
    /// Present exactly if the state is [`DeliveryState::Suppressed`].
    pub suppression_reason: Option<SuppressionReason>,
}

impl Settled {
    /// Whether the attempt counts as one with an unknown outcome.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.outcome == AttemptOutcome::Unknown
    }
}

/// What an attempt's outcome makes of its delivery.
#[must_use]
pub fn settle(attempt: &Attempt, outcome: Outcome) -> Settled {
    let settled = |state, outcome, answer| Settled {
        state,
        next_attempt_at: None,
        outcome,
        answer,
        suppression_reason: None,
    };
    let (failed, retrying) = (DeliveryState::Failed, DeliveryState::Retrying);
    match outcome {
        Outcome::Accepted(answer) => settled(DeliveryState::Sent, AttemptOutcome::Accepted, Some(answer)),
        Outcome::Refused(answer) => settled(failed, AttemptOutcome::Refused, Some(answer)),
        Outcome::Suppressed(reason) => Settled {
            suppression_reason: Some(reason),
            ..settled(DeliveryState::Suppressed, AttemptOutcome::Suppressed, None)
        },
        Outcome::Postponed(answer) => again(attempt, settled(retrying, AttemptOutcome::Postponed, Some(answer))),
        Outcome::Unknown(answer) if attempt.unknown_outcomes + 1 >= MAX_UNKNOWN_OUTCOMES => {
            settled(failed, AttemptOutcome::Unknown, Some(answer))
        }
        Outcome::Unknown(answer) => again(attempt, settled(retrying, AttemptOutcome::Unknown, Some(answer))),
    }
}

/// The outcome of an attempt that is not made any more, because too many before it ended without a known one. Attempts
/// whose process died come here: nobody could settle them.
#[must_use]
pub fn given_up(unknown_outcomes: i32) -> Option<Outcome> {
    let told = format!("given up after {unknown_outcomes} attempts without a known outcome");
    (unknown_outcomes >= MAX_UNKNOWN_OUTCOMES).then(|| Outcome::Refused(Answer::new(0, &told)))
}

/// Tried again after the backoff, the last time when it would be given up; then no more.
fn again(attempt: &Attempt, settled: Settled) -> Settled {
    let end = after(attempt.started_at, attempt.give_up_after);
    if attempt.now >= end {
        return Settled {
            state: DeliveryState::Failed,
            ..settled
        };
    }
    Settled {
        next_attempt_at: Some(after(attempt.now, attempt.backoff).min(end)),
        ..settled
    }
}

fn after(time: DateTime<Utc>, span: Duration) -> DateTime<Utc> {
    let span = TimeDelta::from_std(span).unwrap_or(TimeDelta::MAX);
    time.checked_add_signed(span).unwrap_or(DateTime::<Utc>::MAX_UTC)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    fn attempt(age_seconds: i64, backoff_seconds: u64) -> Attempt {
        let started_at = DateTime::UNIX_EPOCH;
        let now = started_at + TimeDelta::seconds(age_seconds);
        Attempt {
            started_at,
            unknown_outcomes: 0,
            now,
            backoff: Duration::from_secs(backoff_seconds),
            give_up_after: DAY,
        }
    }

    fn answer() -> Answer {
        Answer::new(451, "try later")
    }

    #[test]
    fn an_accepted_email_is_sent_and_a_refused_one_has_failed() {
        let sent = settle(&attempt(1, 60), Outcome::Accepted(Answer::new(250, "ok")));
        assert_eq!((sent.state, sent.next_attempt_at), (DeliveryState::Sent, None));
        let failed = settle(&attempt(1, 60), Outcome::Refused(Answer::new(550, "no")));
        assert_eq!((failed.state, failed.next_attempt_at), (DeliveryState::Failed, None));
        assert_eq!(failed.answer.map(|answer| answer.code()), Some(550));
    }

    #[test]
    fn a_postponed_email_is_tried_again_after_the_backoff() {
        let settled = settle(&attempt(10, 60), Outcome::Postponed(answer()));
        assert_eq!(
            (settled.state, settled.outcome),
            (DeliveryState::Retrying, AttemptOutcome::Postponed)
        );
        assert_eq!(
            settled.next_attempt_at,
            Some(DateTime::UNIX_EPOCH + TimeDelta::seconds(70))
        );
    }

    #[test]
    fn the_last_attempt_is_when_the_delivery_is_given_up() {
        let settled = settle(&attempt(24 * 3_600 - 5, 60), Outcome::Postponed(answer()));
        assert_eq!(settled.next_attempt_at, Some(DateTime::UNIX_EPOCH + TimeDelta::days(1)));
        let settled = settle(&attempt(24 * 3_600, 60), Outcome::Postponed(answer()));
        assert_eq!((settled.state, settled.next_attempt_at), (DeliveryState::Failed, None));
        assert_eq!(settled.answer, Some(answer()));
    }

    #[test]
    fn an_unknown_outcome_is_counted_also_when_it_is_the_last() {
        for (age, state) in [(1, DeliveryState::Retrying), (24 * 3_600, DeliveryState::Failed)] {
            let settled = settle(&attempt(age, 60), Outcome::Unknown(answer()));
            assert_eq!((settled.state, settled.is_unknown()), (state, true));
        }
    }

    #[test]
    fn n3_a_delivery_whose_outcome_stays_unknown_is_given_up() {
        let after = |unknown_outcomes| Attempt {
            unknown_outcomes,
            ..attempt(1, 60)
        };
        let state = |count, outcome: fn(Answer) -> Outcome| settle(&after(count), outcome(answer())).state;
        assert_eq!(
            state(MAX_UNKNOWN_OUTCOMES - 2, Outcome::Unknown),
            DeliveryState::Retrying
        );
        assert_eq!(state(MAX_UNKNOWN_OUTCOMES - 1, Outcome::Unknown), DeliveryState::Failed);
        assert_eq!(state(MAX_UNKNOWN_OUTCOMES, Outcome::Postponed), DeliveryState::Retrying);

        assert_eq!(given_up(MAX_UNKNOWN_OUTCOMES - 1), None);
        let told = Answer::new(0, "given up after 20 attempts without a known outcome");
        assert_eq!(given_up(MAX_UNKNOWN_OUTCOMES), Some(Outcome::Refused(told)));
    }

    #[test]
    fn a_suppressed_delivery_says_why() {
        let settled = settle(
            &attempt(1, 60),
            Outcome::Suppressed(SuppressionReason::AccountNotActive),
        );
        assert_eq!(settled.state, DeliveryState::Suppressed);
        assert_eq!(settled.suppression_reason, Some(SuppressionReason::AccountNotActive));
        assert_eq!((settled.next_attempt_at, settled.answer), (None, None));
    }

    #[test]
    fn an_answer_has_no_address_and_an_end() {
        let answer = Answer::new(550, "5.1.1 <A.B@example.org>: no\r\n such\tuser, a@b");
        assert_eq!(answer.text(), "5.1.1 [address] no such user, [address]");
        assert_eq!(Answer::new(0, &"ü".repeat(600)).text().chars().count(), MAX_ANSWER);
    }

    proptest! {
        #[test]
        fn a_next_attempt_is_later_than_now_and_never_after_the_end(age in 0_i64..200_000, backoff in 1_u64..100_000) {
            let attempt = attempt(age, backoff);
            let settled = settle(&attempt, Outcome::Postponed(answer()));
            let retried = settled.state == DeliveryState::Retrying;
            prop_assert_eq!(retried, settled.next_attempt_at.is_some());
            prop_assert_eq!(retried, age < 24 * 3_600);
            if let Some(next) = settled.next_attempt_at {
                prop_assert!(next > attempt.now && next <= attempt.started_at + TimeDelta::days(1));
            }
        }

        #[test]
        fn no_address_survives_in_an_answer(text in "\\PC{0,700}") {
            prop_assert!(!Answer::new(1, &text).text().contains('@'));
        }
    }
}
