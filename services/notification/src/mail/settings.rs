//! How emails are sent.

use std::{fmt, path::PathBuf, time::Duration};

use carepost_runtime::{Backoff, settings::Reader};
use lettre::{Address, transport::smtp::authentication::Credentials};
use url::Url;

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Not at all.
    Plain,
    /// TLS by STARTTLS, or no email.
    StartTls,
    /// TLS from the first byte.
    Tls,
}

/// Settings of the mail server and of the mailer.
#[derive(Clone)]
pub struct MailSettings {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) security: Security,
    pub(super) credentials: Option<Credentials>,
    pub(super) ca_file: Option<PathBuf>,
    /// None only while faults of the settings are collected.
    pub(super) from: Option<Address>,
    pub(super) timeout: Duration,
    pub(super) lease: Duration,
    pub(super) concurrency: usize,
    pub(super) poll: Duration,
    pub(super) give_up_after: Duration,
    pub(super) retry: Backoff,
}

impl fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The credentials are a secret.
        f.debug_struct("MailSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

impl MailSettings {
    /// Reads the section `mail`.
    pub fn read(reader: &mut Reader) -> Self {
        let (host, port, security) = server(reader);
        let timeout = reader.milliseconds("mail.timeout_ms", 100..=600_000);
        Self {
            host,
            port,
            security,
            credentials: credentials(reader, security),
            ca_file: reader.path("mail.ca_file"),
            from: reader.parsed("mail.from"),
            timeout,
            lease: lease(reader, timeout),
            concurrency: reader.count("mail.concurrency", 1..=200),
            poll: reader.milliseconds("mail.poll_ms", 10..=60_000),
            give_up_after: Duration::from_secs(3_600 * reader.number("mail.give_up_after_hours", 1..=24 * 30)),
            retry: retry(reader),
        }
    }
}

fn server(reader: &mut Reader) -> (String, u16, Security) {
    let key = "mail.url";
    let url = reader.url(key, &["smtp", "smtp+starttls", "smtps"]);
    let (default_port, security) = match url.as_ref().map(Url::scheme) {
        Some("smtps") => (465, Security::Tls),
        Some("smtp") => (25, Security::Plain),
        _ => (587, Security::StartTls),
    };
    let Some(url) = url else {
        return (String::new(), default_port, security);
    };
    // An IPv6 address has brackets in a URL, and nowhere else.
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    if host.is_empty() {
        reader.fault(key, "names no host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        reader.fault(key, "must hold no login: give mail.username and mail.password");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() {
        reader.fault(key, "must end after the port");
    }
    (host, url.port().unwrap_or(default_port), security)
}

fn credentials(reader: &mut Reader, security: Security) -> Option<Credentials> {
    let username = reader.optional_text("mail.username");
    let password = reader.optional_text("mail.password");
    if username.is_some() && security == Security::Plain {
        reader.fault(
            "mail.username",
            "would be sent in the clear: use smtps:// or smtp+starttls://",
        );
    }
    match (username, password) {
        (Some(username), Some(password)) => Some(Credentials::new(username, password)),
        (None, None) => None,
        _ => {
            reader.fault("mail.username", "and mail.password go together");
            None
        }
    }
}

/// An attempt waits for the mail server four times at most; the rest is for eligibility and the database.
fn lease(reader: &mut Reader, timeout: Duration) -> Duration {
    let lease = reader.seconds("mail.lease_seconds", 1..=86_400);
    if lease < timeout * 5 {
        reader.fault("mail.lease_seconds", "must be at least five times mail.timeout_ms");
    }
    lease
}

fn retry(reader: &mut Reader) -> Backoff {
    let first = reader.seconds("mail.retry_first_seconds", 1..=86_400);
    let longest = reader.seconds("mail.retry_longest_seconds", 1..=86_400);
    if longest < first {
        reader.fault(
            "mail.retry_longest_seconds",
            "must not be less than mail.retry_first_seconds",
        );
    }
    Backoff::new(first, longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &str) -> Result<MailSettings, Vec<String>> {
        let mut defaults: Vec<_> = crate::settings::DEFAULTS
            .split("\n[mail]\n")
            .nth(1)
            .unwrap()
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .filter(|line| !lines.contains(&format!("{} = ", line.split(" = ").next().unwrap())))
            .collect();
        defaults.push(lines);
        let mut reader = Reader::load(&format!("[mail]\n{}", defaults.join("\n")), None).unwrap();
        let settings = MailSettings::read(&mut reader);
        reader.finish(settings).map_err(|faults| faults.0)
    }

    #[test]
    fn the_scheme_decides_protection_and_port() {
        for (url, port, security) in [
            ("smtps://mail.example.org", 465, Security::Tls),
            ("smtp+starttls://mail.example.org", 587, Security::StartTls),
            ("smtp://127.0.0.1:2525", 2525, Security::Plain),
        ] {
            let settings = read(&format!("url = \"{url}\"\nfrom = \"no-reply@example.org\"")).unwrap();
            assert_eq!((settings.port, settings.security), (port, security), "{url}");
            assert!(url.contains(&settings.host) && !settings.host.is_empty());
        }
    }

    #[test]
    fn what_would_harm_is_refused() {
        let good = "from = \"no-reply@example.org\"\n";
        for (lines, key) in [
            ("url = \"https://mail.example.org\"", "mail.url"),
            ("url = \"smtps://user:secret@mail.example.org\"", "mail.url"),
            (
                "url = \"smtp://mail\"\nusername = \"a\"\npassword = \"secret\"",
                "mail.username",
            ),
            ("url = \"smtps://mail\"\nusername = \"a\"", "mail.username"),
            ("url = \"smtps://mail\"\nlease_seconds = 149", "mail.lease_seconds"),
            (
                "url = \"smtps://mail\"\nretry_longest_seconds = 59",
                "mail.retry_longest_seconds",
            ),
        ] {
            let faults = read(&format!("{good}{lines}")).unwrap_err();
            assert!(faults.len() == 1 && faults[0].starts_with(key), "{faults:?}");
            assert!(!faults[0].contains("secret"));
        }
    }
}
