//! An email as it would go out, to nobody.

use chrono::{DateTime, Utc};
use lettre::Address;
use uuid::Uuid;

use super::{
    message::{BuildError, build},
    template::render,
};
use crate::domain::Email;

/// An email to look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Preview {
    /// The subject.
    pub subject: String,
    /// The text alternative.
    pub text: String,
    /// The HTML alternative.
    pub html: String,
    /// Name and value of each header, as sent, but unfolded.
    pub headers: Vec<(String, String)>,
}

/// Makes an email as it would go out, from this address to a made-up one, with a made-up id.
///
/// # Errors
/// If it cannot be put together.
pub fn preview(from: &Address, email: &Email, now: DateTime<Utc>) -> Result<Preview, BuildError> {
    let to = Address::new("recipient", "example.org").map_err(|_| BuildError)?;
    let built = build(Uuid::nil(), from, &to, email, now)?;
    let rendered = render(email).map_err(|_| BuildError)?;
    Ok(Preview {
        subject: rendered.subject,
        text: rendered.text,
        html: rendered.html,
        headers: headers(&built),
    })
}

/// The headers of an email, unfolded (RFC 5322, 2.2.3).
fn headers(email: &str) -> Vec<(String, String)> {
    let mut headers: Vec<(String, String)> = Vec::new();
    for line in email.split("\r\n").take_while(|line| !line.is_empty()) {
        match (line.starts_with([' ', '\t']), headers.last_mut(), line.split_once(':')) {
            (true, Some((_, value)), _) => value.push_str(line),
            (_, _, Some((name, value))) => headers.push((name.to_owned(), value.trim_start().to_owned())),
            _ => {}
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_unfolded_and_end_where_the_body_begins() {
        let email = "A: b\r\n c:d\r\n\te\r\nF: g\r\n\r\nH: i\r\n";
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers(email), [pair("A", "b c:d\te"), pair("F", "g")]);
    }
}
