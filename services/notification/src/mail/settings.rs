//! How emails are sent.

use std::time::Duration;

use carepost_runtime::{Backoff, settings::Reader};
use lettre::Address;

use super::{address::parse_address, place::Place};
use crate::domain::Link;

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
    /// How many emails may go out in a second; none: no limit.
    pub(super) most_per_second: Option<u32>,
    /// Where staff read their messages.
    staff_url: Option<Link>,
}

impl MailSettings {
    /// Reads the section `mail`.
    pub fn read(reader: &mut Reader) -> Self {
        let place = Place::read(reader);
        let timeout = reader.milliseconds("mail.timeout_ms", 100..=600_000);
        Self {
            place,
            from: from(reader),
            timeout,
            lease: lease(reader, timeout),
            concurrency: reader.count("mail.concurrency", 1..=200),
            poll: reader.milliseconds("mail.poll_ms", 10..=60_000),
            give_up_after: Duration::from_secs(3_600 * reader.number("mail.give_up_after_hours", 1..=24 * 30)),
            retry: retry(reader),
            most_per_second: Some(reader.count("mail.most_per_second", 0..=10_000)).filter(|most| *most > 0),
            staff_url: reader.optional_parsed("mail.staff_url"),
        }
    }

    /// Where staff read their messages, if that is known.
    #[must_use]
    pub fn staff_url(&self) -> Option<&Link> {
        self.staff_url.as_ref()
    }
}

/// It is in headers that must be ASCII.
fn from(reader: &mut Reader) -> Option<Address> {
    let from: Option<Address> = reader.parsed("mail.from");
    let usable = parse_address(from.as_ref()?.as_ref()).filter(|from| AsRef::<str>::as_ref(from).is_ascii());
    if usable.is_none() {
        reader.fault("mail.from", "must be ASCII before the @");
    }
    usable
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
    fn what_may_be_left_out() {
        let good = "from = \"no-reply@example.org\"\nurl = \"smtps://mail\"\n";
        let settings = read(good).unwrap();
        assert_eq!((settings.most_per_second, settings.staff_url), (None, None));
        let settings = read(&format!(
            "{good}most_per_second = 5\nstaff_url = \"https://emr.example\""
        ))
        .unwrap();
        assert_eq!(settings.most_per_second, Some(5));
        assert_eq!(settings.staff_url.unwrap().as_str(), "https://emr.example/");
    }

    #[test]
    fn the_senders_domain_may_be_of_any_script() {
        let read = |from: &str| read(&format!("from = \"{from}\"\nurl = \"smtps://mail\""));
        let from = read("no-reply@bücher.example").unwrap().from.unwrap();
        assert_eq!(from.to_string(), "no-reply@xn--bcher-kva.example");
        assert_eq!(
            read("jürgen@bücher.example").unwrap_err(),
            ["mail.from: must be ASCII before the @"]
        );
    }

    #[test]
    fn what_would_harm_is_refused() {
        let good = "from = \"no-reply@example.org\"\n";
        for (lines, key) in [
            ("url = \"https://mail.example.org\"", "mail.url"),
            ("url = \"smtps://mail\"\nlease_seconds = 149", "mail.lease_seconds"),
            ("url = \"smtps://mail\"\nstaff_url = \"javascript:x\"", "mail.staff_url"),
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
