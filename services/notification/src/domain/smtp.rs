//! What the end of a dialogue with a mail server means for the email.

use super::{Answer, Outcome};

/// How far the dialogue had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Connecting, TLS, greeting, authentication.
    Open,
    /// `MAIL`: our own address.
    Sender,
    /// `RCPT` and `DATA`: the recipient's address, and leave to send.
    Recipient,
    /// The email itself, up to the server's answer to its end.
    Content,
}

/// How the dialogue ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending<'a> {
    /// With an answer that can be read.
    Reply {
        /// Three digits.
        code: u16,
        /// The text behind it, which may hold addresses.
        text: &'a str,
    },
    /// Without: connection refused or lost, TLS failed, no answer in time, or one that cannot be read.
    Silence {
        /// What went wrong, in our words or the system's.
        what: &'a str,
    },
}

/// What it means.
///
/// Only once the email itself was on its way can the server have it without our knowing. A refusal counts for good only
/// where it is about the recipient or the email: one at the door, of our own address, or for the want of a login or of TLS
/// (RFC 4954, 4.7), is about how we are set up, and would be lifted for all once that is put right.
#[must_use]
pub fn meaning(step: Step, ending: Ending<'_>) -> Outcome {
    match (step, ending) {
        (
            _,
            Ending::Reply {
                code: code @ 530..=539,
                text,
            },
        ) => Outcome::Postponed(Answer::new(code, text)),
        (
            Step::Content,
            Ending::Reply {
                code: code @ 200..=299,
                text,
            },
        ) => Outcome::Accepted(Answer::new(code, text)),
        (
            Step::Recipient | Step::Content,
            Ending::Reply {
                code: code @ 500..=599,
                text,
            },
        ) => Outcome::Refused(Answer::new(code, text)),
        (
            _,
            Ending::Reply {
                code: code @ 400..=599,
                text,
            },
        ) => Outcome::Postponed(Answer::new(code, text)),
        (Step::Content, Ending::Reply { code, text }) => Outcome::Unknown(Answer::new(code, text)),
        (Step::Content, Ending::Silence { what }) => Outcome::Unknown(Answer::new(0, what)),
        (_, Ending::Reply { code, text }) => Outcome::Postponed(Answer::new(code, text)),
        (_, Ending::Silence { what }) => Outcome::Postponed(Answer::new(0, what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(step: Step, ending: Ending<'_>) -> &'static str {
        match meaning(step, ending) {
            Outcome::Accepted(_) => "accepted",
            Outcome::Refused(_) => "refused",
            Outcome::Postponed(_) => "postponed",
            Outcome::Unknown(_) => "unknown",
            Outcome::Suppressed(_) => "suppressed",
        }
    }

    #[test]
    fn an_answer_means_what_its_class_says_at_its_step() {
        let steps = [Step::Open, Step::Sender, Step::Recipient, Step::Content];
        for (code, expected) in [
            (250, ["postponed", "postponed", "postponed", "accepted"]),
            (354, ["postponed", "postponed", "postponed", "unknown"]),
            (421, ["postponed"; 4]),
            (451, ["postponed"; 4]),
            (530, ["postponed"; 4]),
            (535, ["postponed"; 4]),
            (550, ["postponed", "postponed", "refused", "refused"]),
            (554, ["postponed", "postponed", "refused", "refused"]),
        ] {
            assert_eq!(
                steps.map(|step| kind(step, Ending::Reply { code, text: "x" })),
                expected,
                "{code}"
            );
        }
    }

    #[test]
    fn silence_leaves_the_outcome_open_only_after_the_email_was_on_its_way() {
        let silence = Ending::Silence {
            what: "connection lost",
        };
        assert_eq!(kind(Step::Content, silence), "unknown");
        for step in [Step::Open, Step::Sender, Step::Recipient] {
            assert_eq!(kind(step, silence), "postponed");
        }
    }

    #[test]
    fn the_answer_is_kept_without_addresses() {
        let ending = Ending::Reply {
            code: 550,
            text: "5.1.1 <guardian@example.org> unknown",
        };
        let answer = Answer::new(550, "5.1.1 [address] unknown");
        assert_eq!(meaning(Step::Recipient, ending), Outcome::Refused(answer.clone()));
        assert_eq!((answer.code(), answer.text()), (550, "5.1.1 [address] unknown"));
    }
}
