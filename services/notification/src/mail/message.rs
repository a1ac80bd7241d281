//! The email as it is sent (RFC 5322).

use std::time::SystemTime;

use chrono::{DateTime, Utc};
use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart, SinglePart,
        header::{HeaderName, HeaderValue},
    },
};
use uuid::Uuid;

use super::template::render;
use crate::domain::{Email, message_id_header};

/// An email that cannot be put together. It holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the email cannot be put together")]
pub(super) struct BuildError;

/// Builds the email of a delivery. At each attempt it has the same Message-ID, and differs in its date alone.
pub(super) fn build(
    delivery: Uuid,
    from: &Address,
    to: &Address,
    email: &Email,
    now: DateTime<Utc>,
) -> Result<String, BuildError> {
    let rendered = render(email).map_err(|_| BuildError)?;
    let sender = Mailbox::new(email.brand().map(|brand| brand.as_str().to_owned()), from.clone());
    let auto = HeaderValue::new(
        HeaderName::new_from_ascii_str("Auto-Submitted"),
        "auto-generated".to_owned(),
    );
    let body = MultiPart::alternative()
        .boundary(delivery.simple().to_string())
        .singlepart(SinglePart::plain(rendered.text))
        .singlepart(SinglePart::html(rendered.html));
    let message = Message::builder()
        .envelope(Envelope::new(Some(from.clone()), vec![to.clone()]).map_err(|_| BuildError)?)
        .date(SystemTime::from(now))
        .from(sender)
        .to(Mailbox::new(None, to.clone()))
        .subject(rendered.subject)
        .message_id(Some(message_id_header(delivery, from.domain())))
        .raw_header(auto)
        .multipart(body)
        .map_err(|_| BuildError)?;
    String::from_utf8(message.formatted()).map_err(|_| BuildError)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::PortalLink;

    fn built(brand: &str, neutral: bool) -> String {
        let link = PortalLink::parse("https://portal.example.org/inbox").unwrap();
        let (from, to) = (
            "no-reply@hospital.example".parse().unwrap(),
            "g@home.example".parse().unwrap(),
        );
        let now = DateTime::UNIX_EPOCH;
        build(Uuid::from_u128(5), &from, &to, &Email::new(brand, neutral, link), now).unwrap()
    }

    /// The headers of the whole email, unfolded.
    fn headers(email: &str) -> Vec<String> {
        let head = email.split("\r\n\r\n").next().unwrap();
        head.replace("\r\n ", " ")
            .replace("\r\n\t", " ")
            .split("\r\n")
            .map(ToOwned::to_owned)
            .collect()
    }

    const NAMES: [&str; 8] = [
        "Auto-Submitted",
        "Content-Type",
        "Date",
        "From",
        "MIME-Version",
        "Message-ID",
        "Subject",
        "To",
    ];

    fn names(email: &str) -> Vec<String> {
        let mut names: Vec<_> = headers(email)
            .iter()
            .map(|header| header.split(':').next().unwrap().to_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_headers_are_these_and_no_others() {
        let email = built("Southern Clinics", false);
        assert_eq!(names(&email), NAMES);
        for header in [
            "From: \"Southern Clinics\" <no-reply@hospital.example>",
            "To: g@home.example",
            "Subject: New message in your Southern Clinics portal account",
            "Message-ID: <00000000-0000-0000-0000-000000000005@hospital.example>",
            "Auto-Submitted: auto-generated",
            "Date: Thu, 01 Jan 1970 00:00:00 +0000",
        ] {
            assert!(
                headers(&email).iter().any(|found| found == header),
                "{header} in {:?}",
                headers(&email)
            );
        }
        assert!(email.contains("multipart/alternative"));
        assert_eq!(email.matches("charset=utf-8").count(), 2);
    }

    #[test]
    fn the_same_delivery_makes_the_same_email() {
        assert_eq!(built("Southern", false), built("Southern", false));
    }

    #[test]
    fn n1_a_neutral_email_names_nothing_in_its_headers() {
        let email = built("Hope Recovery", true);
        assert!(headers(&email).contains(&"From: no-reply@hospital.example".to_owned()));
        assert!(headers(&email).contains(&"Subject: New message in your portal account".to_owned()));
        assert!(!email.contains("Hope"));
    }

    #[test]
    fn a_brand_cannot_add_a_header() {
        let email = built("A\r\nBcc: everybody@home.example\r\n\r\nbody", false);
        assert_eq!(names(&email), NAMES);
    }

    #[test]
    fn a_brand_of_any_script_is_encoded() {
        let email = built("Clínica Ñandú \"Süd\", 诊所 <x@y.example>", false);
        assert!(
            headers(&email).iter().all(|header| header.is_ascii()),
            "{:?}",
            headers(&email)
        );
        let from = headers(&email)
            .into_iter()
            .find(|header| header.starts_with("From: "))
            .unwrap();
        assert!(
            from.starts_with("From: =?utf-8?") && from.ends_with("<no-reply@hospital.example>"),
            "{from}"
        );
        assert!(email.is_ascii());
    }

    proptest! {
        #[test]
        fn every_brand_makes_an_email(brand in "\\PC{0,210}|[ -~]{0,210}|[\"\\\\<>@,;:()\\[\\]. a]{0,40}") {
            let email = built(&brand, false);
            prop_assert_eq!(names(&email), NAMES);
            prop_assert!(email.split("\r\n").all(|line| line.len() <= 998));
        }
    }
}
