//! The texts of records: each a type of its own that has been parsed. Their `Debug` and their errors never show them.

use std::fmt;

use carepost_identity::{IdError, StaffId};
use url::Url;

const MAX_NAME: usize = 200;
const MAX_EMAIL: usize = 320;
const MAX_URL: usize = 2_048;
const MAX_LOCALE: usize = 35;
const MAX_PHONE: usize = 40;

/// Why a text is not what it should be. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Nothing, or nothing but spaces.
    #[error("must not be empty")]
    Empty,
    /// Too many characters.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A line break or another control character.
    #[error("must be one line without control characters")]
    NotOneLine,
    /// No code of a country.
    #[error("must be a country code of two capital letters")]
    NoCountry,
    /// No email address.
    #[error("must be an email address")]
    NoEmail,
    /// No URL that can be linked to.
    #[error("must be an http or https URL without a user name")]
    NoWebUrl,
    /// A logo is shown in emails: not over a connection that others can read.
    #[error("must be an https URL without a user name")]
    NoHttpsUrl,
    /// No tag of a language.
    #[error("must be a BCP 47 language tag")]
    NoLocale,
}

macro_rules! text {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
        pub struct $name(String);

        impl $name {
            /// The text itself.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// A text that was parsed before it was stored.
            pub(crate) fn stored(text: String) -> Self {
                Self(text)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }
    };
}

text! {
    /// A name: 1 to 200 characters on one line.
    Name
}
text! {
    /// An email address.
    Email
}
text! {
    /// An http or https URL of at most 2,048 characters.
    WebUrl
}
text! {
    /// An ISO 3166-1 alpha-2 code.
    Country
}
text! {
    /// A BCP 47 tag.
    Locale
}
text! {
    /// A phone number as it is to be shown: at most 40 characters.
    Phone
}
text! {
    /// The EMR's id of a patient.
    PatientId
}

fn line(text: &str, max: usize) -> Result<(), TextError> {
    let breaks = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    if text.trim().is_empty() {
        Err(TextError::Empty)
    } else if text.len() > max && text.chars().count() > max {
        Err(TextError::TooLong(max))
    } else if text.contains(breaks) {
        Err(TextError::NotOneLine)
    } else {
        Ok(())
    }
}

impl Name {
    /// Parses a name.
    ///
    /// # Errors
    /// If it is empty, too long, or not one line.
    pub fn parse(text: String) -> Result<Self, TextError> {
        line(&text, MAX_NAME)?;
        Ok(Self(text))
    }

    /// The name as lists are sorted by it: lower case, compared bytewise.
    #[must_use]
    pub fn for_sorting(&self) -> String {
        self.0.to_lowercase()
    }
}

impl Email {
    /// Parses an address: something, one `@`, something, and none of the characters that mean something to mail software.
    /// Whether anybody reads mail there, only mail can tell.
    ///
    /// # Errors
    /// If it is no such address.
    pub fn parse(text: String) -> Result<Self, TextError> {
        line(&text, MAX_EMAIL)?;
        let special = |c: char| c.is_whitespace() || "<>()[],;:\\\"".contains(c);
        match text.split_once('@') {
            Some((local, domain))
                if !local.is_empty()
                    && !domain.is_empty()
                    && !domain.contains('@')
                    && !domain.split('.').any(str::is_empty)
                    && !text.contains(special) =>
            {
                Ok(Self(text))
            }
            _ => Err(TextError::NoEmail),
        }
    }
}

impl WebUrl {
    /// Parses an http or https URL.
    ///
    /// # Errors
    /// If it is no such URL, is too long or names a user.
    pub fn parse(text: String) -> Result<Self, TextError> {
        Self::with_schemes(text, &["http", "https"], TextError::NoWebUrl)
    }

    /// Parses an https URL.
    ///
    /// # Errors
    /// If it is no such URL, is too long or names a user.
    pub fn parse_https(text: String) -> Result<Self, TextError> {
        Self::with_schemes(text, &["https"], TextError::NoHttpsUrl)
    }

    fn with_schemes(text: String, schemes: &[&str], error: TextError) -> Result<Self, TextError> {
        line(&text, MAX_URL)?;
        // The parser forgives spaces around a URL; a reader of the stored text may not.
        if text.contains(char::is_whitespace) {
            return Err(error);
        }
        let url = Url::parse(&text).map_err(|_| error)?;
        let plain = url.has_host() && url.username().is_empty() && url.password().is_none();
        if plain && schemes.contains(&url.scheme()) {
            Ok(Self(text))
        } else {
            Err(error)
        }
    }
}

impl Country {
    /// Parses a code.
    ///
    /// # Errors
    /// If it is not two capital letters.
    pub fn parse(text: String) -> Result<Self, TextError> {
        if text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()) {
            Ok(Self(text))
        } else {
            Err(TextError::NoCountry)
        }
    }
}

impl Locale {
    /// Parses a tag by its form: subtags of 1 to 8 letters and digits, joined by hyphens; a language first.
    ///
    /// # Errors
    /// If it has another form.
    pub fn parse(text: String) -> Result<Self, TextError> {
        let subtag =
            |part: &str| (1..=8).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let language = |part: &str| part.len() >= 2 && part.bytes().all(|byte| byte.is_ascii_alphabetic());
        let formed = text.split('-').all(subtag) && text.split('-').next().is_some_and(language);
        if formed && text.len() <= MAX_LOCALE {
            Ok(Self(text))
        } else {
            Err(TextError::NoLocale)
        }
    }
}

impl Phone {
    /// Parses a phone number.
    ///
    /// # Errors
    /// If it is empty, too long, or not one line.
    pub fn parse(text: String) -> Result<Self, TextError> {
        line(&text, MAX_PHONE)?;
        Ok(Self(text))
    }
}

impl PatientId {
    /// Parses an id of the EMR's: what an id is, is the same for all of them.
    ///
    /// # Errors
    /// If the text is no id.
    pub fn parse(text: String) -> Result<Self, IdError> {
        StaffId::parse(text).map(|id| Self(id.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_of_bounded_length() {
        assert!(Name::parse("Łucja O'Neil-Sæther".to_owned()).is_ok());
        assert!(Name::parse("é".repeat(200)).is_ok());
        assert_eq!(Name::parse("é".repeat(201)), Err(TextError::TooLong(200)));
        assert_eq!(Name::parse(" ".to_owned()), Err(TextError::Empty));
        for text in ["a\nb", "a\u{0}", "a\u{2028}b", "a\u{85}b"] {
            assert_eq!(Name::parse(text.to_owned()), Err(TextError::NotOneLine));
        }
    }

    #[test]
    fn an_email_address_has_two_sides_and_nothing_special() {
        for text in ["a@b.example", "dante.archibald.0@example.org", "jörg+x@exämple.org"] {
            assert!(Email::parse(text.to_owned()).is_ok(), "{text}");
        }
        for text in [
            "a",
            "@b",
            "a@",
            "a@b@c",
            "a b@c",
            "a@b\r\nBcc: c@d",
            "<a@b>",
            "a@b,c@d",
            "a@b..c",
            "a@.b",
        ] {
            assert!(Email::parse(text.to_owned()).is_err(), "{text}");
        }
        let long = format!("{}@b", "a".repeat(319));
        assert_eq!(Email::parse(long), Err(TextError::TooLong(320)));
    }

    #[test]
    fn a_url_can_be_linked_to() {
        assert!(WebUrl::parse("http://portal.example.org/messages?x=1".to_owned()).is_ok());
        for text in [
            "javascript:alert(1)",
            "ftp://a/b",
            "//a/b",
            "https://",
            "https://me:pw@a/",
            "https://a/ b",
            " https://a",
        ] {
            assert!(WebUrl::parse(text.to_owned()).is_err(), "{text}");
        }
        assert!(WebUrl::parse_https("http://a/".to_owned()).is_err());
    }

    #[test]
    fn codes_have_their_form() {
        assert!(Country::parse("AU".to_owned()).is_ok());
        for text in ["", "au", "AUS", "Ä"] {
            assert!(Country::parse(text.to_owned()).is_err(), "{text}");
        }
        for text in ["en", "en-US", "zh-Hant-TW", "sl-rozaj-biske"] {
            assert!(Locale::parse(text.to_owned()).is_ok(), "{text}");
        }
        for text in ["", "e", "en_US", "en--US", "123", "en-abcdefghi", "en-"] {
            assert!(Locale::parse(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_output_shows_nothing() {
        let name = Name::parse("Ana".to_owned()).unwrap();
        assert_eq!(format!("{name:?}"), "Name(…)");
    }
}
