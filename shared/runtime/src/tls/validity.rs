//! When a certificate ends: the one thing in it that nothing here reads but to tell it.

use chrono::{DateTime, NaiveDateTime, Utc};

const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// An element of DER: its tag, what it holds, and what comes after it.
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    rest: &'a [u8],
}

/// When a certificate (X.509, DER) ends; none if it is no certificate.
pub(super) fn end(der: &[u8]) -> Option<DateTime<Utc>> {
    let certificate = element(der)?;
    let mut next = element(element(certificate.content)?.content)?;
    if next.tag == VERSION {
        next = element(next.rest)?;
    }
    // It was the serial number; the algorithm and the issuer are between it and the times.
    let issuer = element(element(next.rest)?.rest)?;
    let validity = element(issuer.rest)?;
    let begin = element(validity.content)?;
    time(&element(begin.rest)?)
}

fn element(der: &[u8]) -> Option<Element<'_>> {
    let (&tag, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = if first < 0x80 {
        (usize::from(first), rest)
    } else {
        let count = usize::from(first & 0x7f);
        let (bytes, rest) = rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
        let length = bytes.iter().fold(0, |length, byte| (length << 8) | usize::from(*byte));
        (length, rest)
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some(Element { tag, content, rest })
}

fn time(element: &Element<'_>) -> Option<DateTime<Utc>> {
    let text = std::str::from_utf8(element.content).ok()?;
    let text = match element.tag {
        // RFC 5280: two digits of a year mean 1950 to 2049.
        UTC_TIME if text.get(..2)? < "50" => format!("20{text}"),
        UTC_TIME => format!("19{text}"),
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&text, "%Y%m%d%H%M%SZ").ok()?;
    Some(time.and_utc())
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    use super::*;

    fn certificate(year: i32) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 3, 14);
        params
            .self_signed(&KeyPair::generate().unwrap())
            .unwrap()
            .der()
            .to_vec()
    }

    #[test]
    fn the_end_is_read_in_both_of_its_forms() {
        for year in [2027, 2049, 2050, 2999] {
            let end = end(&certificate(year)).unwrap();
            assert_eq!(end.to_rfc3339(), format!("{year}-03-14T00:00:00+00:00"));
        }
    }

    #[test]
    fn what_is_no_certificate_has_no_end() {
        let whole = certificate(2030);
        for length in 0..whole.len() {
            // Whatever is missing: it does not panic.
            let _ = end(&whole[..length]);
        }
        assert_eq!(end(&whole[..whole.len() / 2]), None);
        assert_eq!(end(b"-----BEGIN CERTIFICATE-----"), None);
    }
}
