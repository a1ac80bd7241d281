//! One connection to the mail server, step by step.
//!
//! lettre's own pooled transport is not used, for two reasons. It waits for an answer without end, and when it is cut off
//! while it waits, it takes the connection back into its pool: the late answer would then be read as that to the next
//! email. And its errors do not tell whether the email itself was already on its way.

use std::{fmt, future::Future, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        authentication::{Credentials, Mechanism},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail, Quit, Rcpt, Rset},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
        response::Response,
    },
};
use tokio::time::timeout;

use crate::domain::Step;

/// How a dialogue ended without success.
#[derive(Debug)]
pub(super) struct Failure {
    pub step: Step,
    pub fault: Fault,
}

#[derive(Debug)]
pub(super) enum Fault {
    /// The server refused. It can be talked to again, unless it said goodbye.
    Reply { code: u16, text: String },
    /// The address needs an extension that the server does not have.
    NoUnicode,
    /// Anything else: the connection is of no use any more.
    Broken(String),
}

/// How connections are opened.
pub(super) struct Door {
    pub host: String,
    pub port: u16,
    /// For TLS from the first byte, or by STARTTLS.
    pub tls: Option<(TlsParameters, bool)>,
    pub hello: ClientId,
    pub credentials: Option<Credentials>,
    /// How long each step may take.
    pub timeout: Duration,
}

/// An open connection. Dropped at any moment, it is closed, so what it was in the middle of harms nobody.
pub(super) struct Connection {
    smtp: AsyncSmtpConnection,
    timeout: Duration,
}

impl Door {
    /// Connects, with TLS and login as set.
    pub async fn open(&self) -> Result<Connection, Failure> {
        let smtp = within(self.timeout, Step::Open, self.dialogue()).await?;
        Ok(Connection {
            smtp,
            timeout: self.timeout,
        })
    }

    async fn dialogue(&self) -> Result<AsyncSmtpConnection, Error> {
        let (wrapper, upgrade) = match &self.tls {
            Some((tls, true)) => (None, Some(tls.clone())),
            Some((tls, false)) => (Some(tls.clone()), None),
            None => (None, None),
        };
        let server = (self.host.as_str(), self.port);
        let timeout = Some(self.timeout);
        let mut smtp = AsyncSmtpConnection::connect_tokio1(server, timeout, &self.hello, wrapper, None).await?;
        if let Some(tls) = upgrade {
            // Fails if the server does not offer it.
            smtp.starttls(tls, &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            smtp.auth(&[Mechanism::Plain, Mechanism::Login], credentials).await?;
        }
        Ok(smtp)
    }
}

impl Connection {
    /// Whether it still works, and is ready for a new email.
    pub async fn reset(&mut self) -> bool {
        within(self.timeout, Step::Open, self.smtp.command(Rset)).await.is_ok()
    }

    /// Sends an email to one recipient, and gives the server's answer to its end.
    pub async fn send(&mut self, from: &Address, to: &Address, email: &str) -> Result<Response, Failure> {
        let parameters = self.parameters(to, email)?;
        let (timeout, smtp) = (self.timeout, &mut self.smtp);
        // Both steps of the envelope share one timeout.
        let begun = tokio::time::Instant::now();
        within(
            timeout,
            Step::Sender,
            smtp.command(Mail::new(Some(from.clone()), parameters)),
        )
        .await?;
        let rest = timeout.saturating_sub(begun.elapsed());
        within(rest, Step::Recipient, async {
            smtp.command(Rcpt::new(to.clone(), Vec::new())).await?;
            smtp.command(Data).await
        })
        .await?;
        within(timeout, Step::Content, smtp.command(Content(email))).await
    }

    fn parameters(&self, to: &Address, email: &str) -> Result<Vec<MailParameter>, Failure> {
        let plain: &str = to.as_ref();
        if plain.is_ascii() && email.is_ascii() {
            return Ok(Vec::new());
        }
        let server = self.smtp.server_info();
        let takes = |extension| server.supports_feature(extension);
        if !takes(Extension::SmtpUtfEight) || !takes(Extension::EightBitMime) {
            return Err(Failure {
                step: Step::Recipient,
                fault: Fault::NoUnicode,
            });
        }
        Ok(vec![
            MailParameter::SmtpUtfEight,
            MailParameter::Body(MailBodyParameter::EightBitMime),
        ])
    }

    /// Says goodbye, and waits for the answer a second at most.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.smtp.command(Quit)).await;
    }
}

/// An email after `DATA`, with its end mark. Sent as one command, so in one write: lettre's own way writes the mark apart,
/// and TCP then holds it back until the server has acknowledged the rest, which most do only after 40 ms.
struct Content<'a>(&'a str);

impl fmt::Display for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line that begins with a dot gets a second one, so that none can be taken for the end (RFC 5321, 4.5.2).
        for line in self.0.strip_suffix("\r\n").unwrap_or(self.0).split("\r\n") {
            let stuffing = if line.starts_with('.') { "." } else { "" };
            write!(f, "{stuffing}{line}\r\n")?;
        }
        f.write_str(".\r\n")
    }
}

async fn within<T>(span: Duration, step: Step, work: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    let fault = match timeout(span, work).await {
        Ok(Ok(done)) => return Ok(done),
        Ok(Err(error)) => fault(&error),
        Err(_) => Fault::Broken("the mail server did not answer in time".to_owned()),
    };
    Err(Failure { step, fault })
}

fn fault(error: &Error) -> Fault {
    match error.status() {
        Some(code) => {
            let text = std::error::Error::source(error)
                .map(ToString::to_string)
                .unwrap_or_default();
            Fault::Reply {
                code: u16::from(code),
                text,
            }
        }
        None => Fault::Broken(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_of_an_email_can_be_taken_for_its_end() {
        for (email, sent) in [
            ("A: b\r\n\r\ntext\r\n", "A: b\r\n\r\ntext\r\n.\r\n"),
            ("A: b\r\n\r\ntext", "A: b\r\n\r\ntext\r\n.\r\n"),
            (".\r\n.\r\n..x\r\n\r\n", "..\r\n..\r\n...x\r\n\r\n.\r\n"),
        ] {
            assert_eq!(Content(email).to_string(), sent);
        }
    }
}
