//! The brand of an email: the only text in it that identifies anybody (N1).

use url::Url;

/// The longest name, in characters.
pub const MAX_NAME: usize = 200;
/// The longest phone number, in characters.
pub const MAX_PHONE: usize = 40;
/// The longest URL of a logo, in characters.
const MAX_LOGO: usize = 2_048;

/// The brand under which an email goes out: a name, and what else there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    name: String,
    logo: Option<Url>,
    phone: Option<String>,
}

impl Brand {
    /// Takes a brand as the directory has it. Name and phone become one line each, since control characters have no place in
    /// a header; a name that is too long is cut. A phone that is too long, and a logo that is no https URL, are left out. Of
    /// no name comes no brand.
    #[must_use]
    pub fn clean(name: &str, logo: &str, phone: &str) -> Option<Self> {
        let cut: String = line(name).chars().take(MAX_NAME).collect();
        let phone = line(phone);
        let brand = Self {
            name: cut.trim_end().to_owned(),
            logo: parse_logo(logo),
            phone: Some(phone).filter(|phone| !phone.is_empty() && phone.chars().count() <= MAX_PHONE),
        };
        Some(brand).filter(|brand| !brand.name.is_empty())
    }

    /// The name: one line, 1 to 200 characters.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The https URL of the logo, if there is one.
    #[must_use]
    pub fn logo(&self) -> Option<&str> {
        self.logo.as_ref().map(Url::as_str)
    }

    /// The phone number as it is to be shown, if there is one.
    #[must_use]
    pub fn phone(&self) -> Option<&str> {
        self.phone.as_deref()
    }
}

/// The https URL of a logo.
#[must_use]
pub fn parse_logo(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok().filter(|_| text.chars().count() <= MAX_LOGO)?;
    let is_bare = url.username().is_empty() && url.password().is_none();
    (url.scheme() == "https" && url.has_host() && is_bare).then_some(url)
}

fn line(text: &str) -> String {
    let spaced: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line() {
        let clean = |name: &str| Brand::clean(name, "", "").map(|brand| brand.name);
        assert_eq!(
            clean("  Clínica\r\nBcc: a@b.c\t x "),
            Some("Clínica Bcc: a@b.c x".to_owned())
        );
        assert_eq!(clean("\u{7f}\n "), None);
        assert_eq!(clean(&"é".repeat(300)).map(|name| name.chars().count()), Some(MAX_NAME));
    }

    #[test]
    fn logo_and_phone_are_there_if_they_can_be_used() {
        let brand = Brand::clean("A", "https://a.example/logo.png", " +61 2\n5550 0000 ").unwrap();
        assert_eq!(brand.logo(), Some("https://a.example/logo.png"));
        assert_eq!(brand.phone(), Some("+61 2 5550 0000"));
        let long = "1".repeat(MAX_PHONE + 1);
        for (logo, phone) in [
            ("", ""),
            ("http://a.example/logo.png", &long),
            ("javascript:alert(1)", " "),
            ("https://user:secret@a.example/x", "\n"),
        ] {
            let brand = Brand::clean("A", logo, phone).unwrap();
            assert_eq!((brand.logo(), brand.phone()), (None, None), "{logo}");
        }
    }
}
