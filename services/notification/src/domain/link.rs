//! Where an email leads.

use std::str::FromStr;

use url::Url;

/// Where an inbox is, behind login: an http or https URL without a user or password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link(Url);

/// This cannot be put into an email.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an http or https URL without a user or password")]
pub struct LinkError;

impl Link {
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

impl FromStr for Link {
    type Err = LinkError;

    fn from_str(text: &str) -> Result<Self, LinkError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_a_web_address() {
        assert!(Link::parse("https://portal.example.org/inbox?a=1").is_ok());
        for text in [
            "",
            "portal",
            "javascript:alert(1)",
            "mailto:a@b.c",
            "https://user:secret@portal.example.org",
        ] {
            assert_eq!(Link::parse(text), Err(LinkError), "{text}");
        }
    }
}
