//! Addresses of email, as mail servers want them.

use lettre::Address;
use url::Host;

/// An address whose domain is in the form that every mail server knows: one of another script becomes its punycode (RFC 5891).
/// What stands before the `@` has no such form, and stays as it is. None for what is no address.
pub(super) fn parse_address(text: &str) -> Option<Address> {
    let address: Address = text.parse().ok()?;
    if address.domain().is_ascii() {
        return Some(address);
    }
    match Host::parse(address.domain()) {
        Ok(Host::Domain(domain)) => Address::new(address.user(), domain).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        parse_address(text).map(|address| address.to_string())
    }

    #[test]
    fn a_domain_of_another_script_becomes_its_punycode() {
        for (text, expected) in [
            ("A.Guardian@Home.example", "A.Guardian@Home.example"),
            ("guardian@bücher.example", "guardian@xn--bcher-kva.example"),
            ("guardian@BÜCHER.example", "guardian@xn--bcher-kva.example"),
            ("guardian@例え.テスト", "guardian@xn--r8jz45g.xn--zckzah"),
            // The ideographic full stop separates labels, too.
            ("guardian@bücher。example", "guardian@xn--bcher-kva.example"),
            ("jürgen@bücher.example", "jürgen@xn--bcher-kva.example"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_is_none() {
        let long = format!("{}@home.example", "x".repeat(65));
        for text in [
            "nobody",
            "a@",
            "@b.example",
            "a@b@c.example",
            "a b@c.example",
            "a@b..example",
            "a@-b.example",
            "a@b.example\r\nRCPT TO:<x@y.example>",
            "a@b.example\0",
            "<a@b.example>",
            "A <a@b.example>",
            "a@b.example,c@d.example",
            "a@ü .example",
            "a@\u{ad}ü\u{2024}.example\n",
            &long,
        ] {
            assert_eq!(parsed(text), None, "{text:?}");
        }
    }
}
