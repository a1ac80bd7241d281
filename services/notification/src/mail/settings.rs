//! How emails are sent.

use std::time::Duration;

use carepost_runtime::{Backoff, settings::Reader};
use lettre::Address;

use super::place::Place;

/// Settings of the way that emails go, and of the mailer.
#[derive(Clone, Debug)]
pub struct MailSettings {
    pub(super) place: Place,
    /// None only while faults of the settings are collected.
    pub(super) from: Option<Address>,
    pub(super) timeout: Duration,
    pub(super) lease: Duration,
    pub(super) concurrency: usize,
    pub(super) poll: Duration,
    pub(super) give_up_after: Duration,
    pub(super) retry: Backoff,
}

impl MailSettings {
    /// Reads the section `mail`.
    pub fn read(reader: &mut Reader) -> Self {
        let place = Place::read(reader);
        let timeout = reader.milliseconds("mail.timeout_ms", 100..=600_000);
        Self {
            place,
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
    fn what_would_harm_is_refused() {
        let good = "from = \"no-reply@example.org\"\n";
        for (lines, key) in [
            ("url = \"https://mail.example.org\"", "mail.url"),
            ("url = \"smtps://mail\"\nlease_seconds = 149", "mail.lease_seconds"),
            (
                "url = \"smtps://mail\"\nretry_longest_seconds = 59",
                "mail.retry_longest_seconds",
            ),
        ] {
            let faults = read(&format!("{good}{lines}")).unwrap_err();
            assert!(faults.len() == 1 && faults[0].starts_with(key), "{faults:?}");
        }
    }
}
