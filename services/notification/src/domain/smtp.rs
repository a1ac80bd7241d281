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
/// (RFC 4954, 4.7), is about how we are set up, and would be lifted for all once that is put right. Many servers give such
/// an answer only to `RCPT`; [`is_about_us`] knows it there.
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
        ) if !is_about_us(text) => Outcome::Refused(Answer::new(code, text)),
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

/// What mail servers say of a client that may not send, where the enhanced status code does not tell.
const ABOUT_US: [&str; 11] = [
    "relay",
    "client host",
    "helo command rejected",
    "ehlo command rejected",
    "sender address rejected",
    "authentication required",
    "not authenticated",
    "unauthenticated",
    "must authenticate",
    "log in first",
    "rcpthosts",
];

/// Whether a refusal speaks of our connection, login or sender's address, rather than of the recipient or the email.
///
/// The enhanced status code decides (RFC 3463, 5248, 7372), but for 5.7.0 and 5.7.1, which stand for both; with them, and
/// without a code, the words do.
fn is_about_us(text: &str) -> bool {
    let subject = text.split_whitespace().next().and_then(enhanced);
    match subject {
        // The sender's address; the login; TLS; what vouches for the sender: DKIM, SPF, reverse DNS, DMARC.
        Some((1, 7 | 8) | (7, 4 | 8..=12 | 14 | 20..=27)) => true,
        None | Some((7, _)) => {
            // Words with an address are left out: the recipient's own may hold any of these.
            let words = Answer::new(0, text).text().to_lowercase();
            ABOUT_US.iter().any(|about_us| words.contains(about_us))
        }
        Some(_) => false,
    }
}

/// Subject and detail of an enhanced status code.
fn enhanced(word: &str) -> Option<(u16, u16)> {
    let mut numbers = word.strip_prefix("5.")?.split('.').map(str::parse);
    match (numbers.next(), numbers.next(), numbers.next()) {
        (Some(Ok(subject)), Some(Ok(detail)), None) => Some((subject, detail)),
        _ => None,
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
    fn n3_a_refusal_of_our_connection_or_login_is_no_verdict_about_the_recipient() {
        let refused = [
            (550, "5.1.1 <a@relay.example>: Recipient address rejected: User unknown"),
            (550, "5.1.2 host relay.example not found"),
            (552, "5.2.2 mailbox full"),
            (550, "5.7.1 not accepted for reasons of policy"),
            (554, "5.7.1 message looks like spam"),
            (550, "no such user <relay@home.example>"),
            (550, "5.7.1.2 no such code"),
            (550, ""),
        ];
        let about_us = [
            (554, "5.7.1 <a@home.example>: Relay access denied"),
            (554, "5.7.1 <unknown[192.0.2.1]>: Client host rejected: Access denied"),
            (
                554,
                "5.7.1 Service unavailable; Client host [192.0.2.1] blocked using bl.example",
            ),
            (550, "5.7.1 Relaying denied. Proper authentication required."),
            (550, "relay not permitted"),
            (550, "5.7.54 SMTP; Unable to relay recipient in non-accepted domain"),
            (550, "5.7.57 Client not authenticated to send mail"),
            (
                553,
                "5.7.1 <no-reply@us.example>: Sender address rejected: not logged in",
            ),
            (553, "sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"),
            (550, "5.1.8 domain of sender does not exist"),
            (550, "5.7.8 x"),
            (550, "5.7.26 x"),
            (530, "5.1.1 x"),
        ];
        for step in [Step::Recipient, Step::Content] {
            for (code, text) in refused {
                assert_eq!(kind(step, Ending::Reply { code, text }), "refused", "{text}");
            }
            for (code, text) in about_us {
                assert_eq!(kind(step, Ending::Reply { code, text }), "postponed", "{text}");
            }
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
