//! What people write: plain text within limits (C3). Text that exists has been parsed. It is never shown by `Debug`.

use std::fmt;

/// The limits of what is written and to how many (product.md, "Limits").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most characters of a subject.
    pub subject: usize,
    /// The most characters of a body.
    pub body: usize,
    /// The most recipients of a staff conversation.
    pub recipients: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            subject: 200,
            body: 10_000,
            recipients: 50,
        }
    }
}

/// Why a text is not accepted. It never repeats the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TextFault {
    /// Nothing, or spaces alone.
    #[error("must not be empty")]
    Empty,
    /// More characters than allowed.
    #[error("must have at most {0} characters")]
    TooLong(usize),
    /// A control character.
    #[error("must not contain control characters")]
    Control,
}

/// The subject of a conversation: one line, maybe empty.
#[derive(Clone, PartialEq, Eq)]
pub struct Subject(String);

impl Subject {
    /// Parses a subject; spaces around it are dropped.
    ///
    /// # Errors
    /// If it is too long or contains control characters, line breaks included.
    pub fn parse(text: &str, limits: Limits) -> Result<Self, TextFault> {
        let text = text.trim();
        if text
            .chars()
            .any(|character| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}'))
        {
            return Err(TextFault::Control);
        }
        within(text, limits.subject)?;
        Ok(Self(text.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The body of a message.
#[derive(Clone, PartialEq, Eq)]
pub struct Body(String);

impl Body {
    /// Parses a body. Line breaks become `\n`; tabs are kept.
    ///
    /// # Errors
    /// If it is blank, too long or contains other control characters.
    pub fn parse(text: &str, limits: Limits) -> Result<Self, TextFault> {
        let text = text.replace("\r\n", "\n");
        if text.chars().all(is_blank) {
            return Err(TextFault::Empty);
        }
        if text
            .chars()
            .any(|character| character.is_control() && !matches!(character, '\n' | '\t'))
        {
            return Err(TextFault::Control);
        }
        within(&text, limits.body)?;
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// White space, and what takes no space at all: nobody sees anything of it.
fn is_blank(character: char) -> bool {
    character.is_whitespace() || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{2064}' | '\u{feff}')
}

fn within(text: &str, most: usize) -> Result<(), TextFault> {
    if text.chars().count() > most {
        Err(TextFault::TooLong(most))
    } else {
        Ok(())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Subject(…)")
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c3_a_subject_is_one_line_and_may_be_empty() {
        let limits = Limits::default();
        assert_eq!(
            Subject::parse("  Wound check ", limits).unwrap().as_str(),
            "Wound check"
        );
        assert!(Subject::parse("", limits).is_ok());
        assert!(Subject::parse(&"ü".repeat(200), limits).is_ok());
        assert_eq!(Subject::parse(&"ü".repeat(201), limits), Err(TextFault::TooLong(200)));
        for lines in ["a\nb", "a\u{2028}b", "a\u{2029}b"] {
            assert_eq!(Subject::parse(lines, limits), Err(TextFault::Control));
        }
    }

    #[test]
    fn c3_a_body_is_required_and_plain() {
        let limits = Limits::default();
        assert_eq!(
            Body::parse("one\r\ntwo\tthree", limits).unwrap().as_str(),
            "one\ntwo\tthree"
        );
        assert!(Body::parse(&"愛".repeat(10_000), limits).is_ok());
        assert_eq!(
            Body::parse(&"愛".repeat(10_001), limits),
            Err(TextFault::TooLong(10_000))
        );
        for blank in ["", "  \n\t", "\u{3000}", "\u{200b}\u{feff} \u{2060}"] {
            assert_eq!(Body::parse(blank, limits), Err(TextFault::Empty));
        }
        for control in ["\0", "a\rb", "\u{1b}[31m", "\u{85}x"] {
            assert_eq!(
                Body::parse(&format!("x{control}"), limits),
                Err(TextFault::Control),
                "{control:?}"
            );
        }
    }

    #[test]
    fn text_is_never_shown_by_debug() {
        let body = Body::parse("secret", Limits::default()).unwrap();
        assert!(!format!("{body:?}").contains("secret"));
    }
}
