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

/// The longest header line that is no longer than it should be, in bytes.
const MAX_LINE: usize = 76;

/// An email that cannot be put together. It holds nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the email cannot be put together")]
pub struct BuildError;

/// Builds the email of a delivery. At each attempt it has the same Message-ID, and differs in its date alone.
pub(super) fn build(
    delivery: Uuid,
    from: &Address,
    to: &Address,
    email: &Email,
    now: DateTime<Utc>,
) -> Result<String, BuildError> {
    let rendered = render(email).map_err(|_| BuildError)?;
    let sender = Mailbox::new(email.brand().map(|brand| brand.name().to_owned()), from.clone());
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
    let email = String::from_utf8(message.formatted()).map_err(|_| BuildError)?;
    Ok(folded(&email))
}

/// Folds the header lines that are longer than they should be (RFC 5322, 2.1.1; RFC 2047, 2): lettre leaves the address on
/// the line where the name before it ends. A line break before a space that is there changes nothing for who reads it.
fn folded(email: &str) -> String {
    let Some((head, body)) = email.split_once("\r\n\r\n") else {
        return email.to_owned();
    };
    let mut lines = Vec::new();
    for mut line in head.split("\r\n") {
        while line.len() > MAX_LINE {
            // The first byte of a line that goes on is a space already.
            let space = line.bytes().take(MAX_LINE + 1).skip(1).rposition(|byte| byte == b' ');
            let Some((part, rest)) = space.and_then(|place| line.split_at_checked(place + 1)) else {
                break;
            };
            lines.push(part);
            line = rest;
        }
        lines.push(line);
    }
    [&lines.join("\r\n"), body].join("\r\n\r\n")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::{Brand, Language, Link};

    fn built(brand: &str) -> String {
        built_with(brand, "https://portal.example.org/inbox")
    }

    fn built_with(brand: &str, link: &str) -> String {
        let link = Link::parse(link).unwrap();
        let (from, to) = (
            "no-reply@hospital.example".parse().unwrap(),
            "g@home.example".parse().unwrap(),
        );
        let now = DateTime::UNIX_EPOCH;
        let email = Email::for_portal(Brand::clean(brand, "", ""), Language::English, link);
        build(Uuid::from_u128(5), &from, &to, &email, now).unwrap()
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
        let email = built("Southern Clinics");
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
        assert_eq!(built("Southern"), built("Southern"));
    }

    #[test]
    fn n1_a_neutral_email_names_nothing_in_its_headers() {
        let email = built("");
        assert!(headers(&email).contains(&"From: no-reply@hospital.example".to_owned()));
        assert!(headers(&email).contains(&"Subject: New message in your portal account".to_owned()));
    }

    #[test]
    fn a_brand_cannot_add_a_header() {
        let email = built("A\r\nBcc: everybody@home.example\r\n\r\nbody");
        assert_eq!(names(&email), NAMES);
    }

    #[test]
    fn a_brand_of_any_script_is_encoded() {
        let email = built("Clínica Ñandú \"Süd\", 诊所 <x@y.example>");
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

    /// The text of a header that may hold encoded words (RFC 2047): those next to each other are one text.
    fn decoded(header: &str) -> String {
        let mut text = String::new();
        let mut rest = header;
        while let Some((before, word)) = rest.split_once("=?utf-8?b?") {
            let (word, after) = word.split_once("?=").unwrap();
            text += if before.trim().is_empty() && !text.is_empty() {
                ""
            } else {
                before
            };
            let bytes: Vec<_> = word.chunks_base64().collect();
            text += std::str::from_utf8(&bytes).expect("no character is torn apart");
            rest = after;
        }
        text + rest
    }

    trait Base64 {
        fn chunks_base64(&self) -> Box<dyn Iterator<Item = u8> + '_>;
    }

    impl Base64 for str {
        fn chunks_base64(&self) -> Box<dyn Iterator<Item = u8> + '_> {
            const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            let digits: Vec<_> = self.chars().filter_map(|c| ALPHABET.find(c)).collect();
            let bytes = digits.chunks(4).flat_map(|four| {
                let value = four.iter().fold(0, |value, digit| value << 6 | digit) << (6 * (4 - four.len()));
                let all = [value >> 16, value >> 8, value].map(|byte| u8::try_from(byte & 0xff).unwrap());
                all.into_iter().take(four.len() - 1).collect::<Vec<_>>()
            });
            Box::new(bytes.collect::<Vec<_>>().into_iter())
        }
    }

    #[test]
    fn a_long_name_of_any_script_is_folded_and_comes_back_whole() {
        for brand in [
            "Süd-Kliniken ".repeat(15),
            "诊所".repeat(100),
            "Southern Clinics ".repeat(11),
        ] {
            let brand = brand.trim_end();
            let email = built(brand);
            let head = email.split("\r\n\r\n").next().unwrap();
            let longest = head.split("\r\n").map(str::len).max().unwrap();
            assert!(longest <= MAX_LINE, "{longest} in {head}");
            let header = |name: &str| {
                let found = headers(&email).into_iter().find(|header| header.starts_with(name));
                decoded(found.unwrap().strip_prefix(name).unwrap())
            };
            let told = header("Subject: ");
            assert_eq!(told, format!("New message in your {brand} portal account"));
            let told = header("From: ").replace('"', "");
            assert_eq!(told, format!("{brand} <no-reply@hospital.example>"));
        }
    }

    #[test]
    fn what_has_no_space_is_left_as_it_is() {
        let long = "x".repeat(100);
        for email in [
            format!("To: {long}@a.example\r\n\r\n{long} {long}\r\n"),
            format!("To:\r\n {long}\r\n\r\nbody"),
            long.clone(),
        ] {
            assert_eq!(
                folded(&email).replace("To:\r\n ", "To: "),
                email.replace("To:\r\n ", "To: ")
            );
        }
        let line = format!("A: {} b", "c".repeat(80));
        assert_eq!(
            folded(&format!("{line}\r\n\r\n")),
            format!("A:\r\n {} b\r\n\r\n", "c".repeat(80))
        );
    }

    #[test]
    fn no_line_is_longer_than_mail_allows_however_long_the_link() {
        for part in ["x", "ñ", "&", ".", "=", "%20"] {
            let link = format!("https://portal.example.org/{}", part.repeat(2_000));
            let email = built_with("Southern", &link);
            let longest = email.split("\r\n").map(str::len).max().unwrap();
            assert!(longest <= 998, "{part}: {longest}");
            assert!(
                !email.replace("\r\n", "").contains(['\r', '\n']),
                "every line ends with CR LF"
            );
        }
    }

    proptest! {
        #[test]
        fn every_brand_makes_an_email(brand in "\\PC{0,210}|[ -~]{0,210}|[\"\\\\<>@,;:()\\[\\]. a]{0,40}") {
            let email = built(&brand);
            prop_assert_eq!(names(&email), NAMES);
            prop_assert!(email.split("\r\n").all(|line| line.len() <= 998));
        }
    }
}
