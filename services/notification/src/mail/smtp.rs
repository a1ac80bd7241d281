//! Sends emails over connections that are kept for the next ones.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use lettre::{
    Address,
    transport::smtp::{
        client::{Certificate, TlsParameters},
        extension::ClientId,
        response::Response,
    },
};
use tokio::time::Instant;

use super::{
    connection::{Connection, Door, Failure, Fault},
    place::{MailServer, Security},
};
use crate::domain::{Answer, Ending, Outcome, Step, meaning};

/// A connection that was not used for so long is closed: before most servers would do so.
const IDLE: Duration = Duration::from_secs(30);
/// The code with which a server says that it closes the connection.
const GOODBYE: u16 = 421;

/// Why there is no way to a mail server.
#[derive(Debug, thiserror::Error)]
pub enum SmtpSetupError {
    /// The file of root certificates cannot be read.
    #[error("mail.ca_file: {0}")]
    CaFile(#[from] std::io::Error),
    /// TLS cannot be set up: most often the file of root certificates holds none.
    #[error("TLS for the mail server: {0}")]
    Tls(#[from] lettre::transport::smtp::Error),
}

/// The way to the mail server.
pub(super) struct Smtp {
    door: Door,
    from: Address,
    idle: Mutex<Vec<Idle>>,
    most_idle: usize,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Smtp {
    /// Prepares it; the server is connected to when there is something to send. At most `most_idle` connections are kept.
    ///
    /// # Errors
    /// If the root certificates cannot be read.
    pub fn new(
        server: &MailServer,
        from: &Address,
        timeout: Duration,
        most_idle: usize,
    ) -> Result<Self, SmtpSetupError> {
        let tls = match server.security {
            Security::Plain => None,
            Security::StartTls => Some((tls(server)?, true)),
            Security::Tls => Some((tls(server)?, false)),
        };
        let door = Door {
            host: server.host.clone(),
            port: server.port,
            tls,
            hello: ClientId::Domain(from.domain().to_owned()),
            credentials: server.credentials.clone(),
            timeout,
        };
        Ok(Self {
            door,
            from: from.clone(),
            idle: Mutex::default(),
            most_idle,
        })
    }

    /// Sends an email.
    pub async fn send(&self, to: &Address, email: &str) -> Outcome {
        let mut connection = match self.connection().await {
            Ok(connection) => connection,
            Err(failure) => return outcome(failure, to),
        };
        let sent = connection.send(&self.from, to, email).await;
        if is_usable(&sent) {
            self.keep(connection);
        }
        match sent {
            Ok(answer) => answered(&answer, to),
            Err(failure) => outcome(failure, to),
        }
    }

    /// Closes the connections that nobody needed for a while.
    pub async fn close_idle(&self) {
        self.close(IDLE).await;
    }

    /// Closes all connections that are not in use.
    pub async fn close_all(&self) {
        self.close(Duration::ZERO).await;
    }

    async fn close(&self, unused_for: Duration) {
        let old: Vec<_> = self
            .idle()
            .extract_if(.., |idle| idle.since.elapsed() >= unused_for)
            .collect();
        futures::future::join_all(old.into_iter().map(|idle| idle.connection.close())).await;
    }

    async fn connection(&self) -> Result<Connection, Failure> {
        let kept = self.idle().pop();
        if let Some(mut kept) = kept.filter(|kept| kept.since.elapsed() < IDLE)
            && kept.connection.reset().await
        {
            return Ok(kept.connection);
        }
        self.door.open().await
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < self.most_idle {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tls(server: &MailServer) -> Result<TlsParameters, SmtpSetupError> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(path) = &server.ca_file {
        builder = builder.add_root_certificate(Certificate::from_pem(&std::fs::read(path)?)?);
    }
    Ok(builder.build()?)
}

/// Whether the connection can take another email after this. One that refuses our own address is tired of us: servers count
/// the emails of a connection.
fn is_usable<T>(sent: &Result<T, Failure>) -> bool {
    match sent.as_ref().map_err(|failure| (failure.step, &failure.fault)) {
        Ok(_) | Err((_, Fault::NoUnicode)) => true,
        Err((step, Fault::Reply { code, .. })) => *code != GOODBYE && matches!(step, Step::Recipient | Step::Content),
        Err((_, Fault::Broken(_))) => false,
    }
}

/// What the answer to the email itself means, if it is no refusal.
fn answered(answer: &Response, to: &Address) -> Outcome {
    let lines: Vec<_> = answer.message().collect();
    let text = without_mailbox(&lines.join(" "), to);
    let code = answer.code().into();
    meaning(Step::Content, Ending::Reply { code, text: &text })
}

fn outcome(failure: Failure, to: &Address) -> Outcome {
    match failure.fault {
        Fault::Reply { code, text } => {
            let text = without_mailbox(&text, to);
            meaning(failure.step, Ending::Reply { code, text: &text })
        }
        Fault::NoUnicode => Outcome::Refused(Answer::new(0, "the mail server takes no address of this kind")),
        Fault::Broken(what) => meaning(failure.step, Ending::Silence { what: &what }),
    }
}

/// A server may name the recipient by the first part of the address alone.
fn without_mailbox(text: &str, to: &Address) -> String {
    let is_mailbox = |word: &&str| {
        word.trim_matches(|c: char| !c.is_alphanumeric())
            .eq_ignore_ascii_case(to.user())
    };
    let words = text
        .split_whitespace()
        .map(|word| if is_mailbox(&word) { "[address]" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_does_not_name_the_recipient() {
        let to: Address = "A.Guardian@home.example".parse().unwrap();
        let failure = |text: &str| Failure {
            step: Step::Recipient,
            fault: Fault::Reply {
                code: 550,
                text: text.to_owned(),
            },
        };
        for (text, kept) in [
            ("5.1.1 <a.guardian@home.example>: unknown", "5.1.1 [address] unknown"),
            (
                "5.1.1 no such user \"a.guardian\" here",
                "5.1.1 no such user [address] here",
            ),
        ] {
            assert_eq!(outcome(failure(text), &to), Outcome::Refused(Answer::new(550, kept)));
        }
    }

    #[test]
    fn an_answer_that_accepts_does_not_name_the_recipient() {
        let to: Address = "A.Guardian@home.example".parse().unwrap();
        let answer: Response = "250-2.0.0 queued for a.guardian\r\n250 as 4711\r\n".parse().unwrap();
        let kept = Answer::new(250, "2.0.0 queued for [address] as 4711");
        assert_eq!(answered(&answer, &to), Outcome::Accepted(kept));
    }

    #[test]
    fn a_connection_is_kept_only_when_its_state_is_known() {
        let sent = |fault| {
            Err::<(), _>(Failure {
                step: Step::Content,
                fault,
            })
        };
        assert!(is_usable(&Ok(())));
        assert!(is_usable(&sent(Fault::Reply {
            code: 554,
            text: String::new()
        })));
        assert!(!is_usable(&sent(Fault::Reply {
            code: 421,
            text: String::new()
        })));
        assert!(!is_usable(&sent(Fault::Broken(String::new()))));
        let tired = Fault::Reply {
            code: 452,
            text: String::new(),
        };
        let refused = Failure {
            step: Step::Sender,
            fault: tired,
        };
        assert!(!is_usable(&Err::<(), _>(refused)));
    }
}
