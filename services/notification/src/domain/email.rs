//! What an email may say: a brand, or none, and a link. There is nothing else that a template could name (N1).

use url::Url;

/// The longest brand, in characters.
const MAX_BRAND: usize = 200;

/// The name under which emails go out: one line, not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrandName(String);

impl BrandName {
    /// Takes a name as the directory has it. Control characters, which have no place in a header, become spaces; what is
    /// longer than 200 characters is cut; of nothing comes none.
    #[must_use]
    pub fn clean(name: &str) -> Option<Self> {
        let spaced: String = name.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let line = spaced.split_whitespace().collect::<Vec<_>>().join(" ");
        let cut: String = line.chars().take(MAX_BRAND).collect();
        Some(Self(cut.trim_end().to_owned())).filter(|name| !name.0.is_empty())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Where the inbox is, behind login: an http or https URL without a user or password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalLink(Url);

/// The portal URL of the organization cannot be put into an email.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the portal URL of the organization is missing or is no web address")]
pub struct LinkError;

impl PortalLink {
    /// Parses a link.
    ///
    /// # Errors
    /// If it is not one that a browser should be sent to.
    pub fn parse(text: &str) -> Result<Self, LinkError> {
        let url = Url::parse(text).map_err(|_| LinkError)?;
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_bare = url.username().is_empty() && url.password().is_none();
        if is_web && is_bare {
            Ok(Self(url))
        } else {
            Err(LinkError)
        }
    }

    /// The link as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// Everything that an email says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Email {
    brand: Option<BrandName>,
    link: PortalLink,
}

impl Email {
    /// An email under this brand. In neutral mode, and without a usable name, under none.
    #[must_use]
    pub fn new(brand: &str, neutral: bool, link: PortalLink) -> Self {
        let brand = if neutral { None } else { BrandName::clean(brand) };
        Self { brand, link }
    }

    /// The brand, unless the email is neutral.
    #[must_use]
    pub fn brand(&self) -> Option<&BrandName> {
        self.brand.as_ref()
    }

    /// The link.
    #[must_use]
    pub fn link(&self) -> &PortalLink {
        &self.link
    }

    /// The subject.
    #[must_use]
    pub fn subject(&self) -> String {
        match &self.brand {
            Some(brand) => format!("New message in your {} portal account", brand.as_str()),
            None => "New message in your portal account".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_brand_is_one_line() {
        let clean = |name: &str| BrandName::clean(name).map(|brand| brand.0);
        assert_eq!(
            clean("  Clínica\r\nBcc: a@b.c\t x "),
            Some("Clínica Bcc: a@b.c x".to_owned())
        );
        assert_eq!(clean("\u{7f}\n "), None);
        assert_eq!(clean(&"é".repeat(300)).map(|name| name.chars().count()), Some(200));
    }

    #[test]
    fn a_link_is_a_web_address() {
        assert!(PortalLink::parse("https://portal.example.org/inbox?a=1").is_ok());
        for text in [
            "",
            "portal",
            "javascript:alert(1)",
            "mailto:a@b.c",
            "https://user:secret@portal.example.org",
        ] {
            assert_eq!(PortalLink::parse(text), Err(LinkError), "{text}");
        }
    }

    #[test]
    fn a_neutral_email_has_no_brand() {
        let link = PortalLink::parse("https://portal.example.org").unwrap();
        let email = Email::new("Hope Recovery", true, link.clone());
        assert_eq!(
            (email.brand(), email.subject().as_str()),
            (None, "New message in your portal account")
        );
        assert_eq!(
            Email::new("Hope", false, link).subject(),
            "New message in your Hope portal account"
        );
    }
}
