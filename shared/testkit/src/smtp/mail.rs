//! What the server keeps of a mail.

use std::fmt;

use chrono::{DateTime, Utc};

/// A mail as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// Address of MAIL FROM.
    pub from: String,
    /// Addresses of RCPT TO that were not refused, in order.
    pub to: Vec<String>,
    /// Headers and body as sent (RFC 5322), lines ended by CR LF.
    pub data: String,
    /// Its Message-ID header, with the angle brackets.
    pub message_id: Option<String>,
    /// When its data had come whole.
    pub accepted_at: DateTime<Utc>,
    /// Whether the client was told. False where the script withheld the answer, or where the client was gone by then.
    pub acknowledged: bool,
}

impl Mail {
    /// The first header of this name, compared without case, folded lines joined.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        header(&self.data, name)
    }
}

/// Text and addresses stay out of what a failing test prints.
impl fmt::Debug for Mail {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Mail")
            .field("message_id", &self.message_id)
            .field("recipients", &self.to.len())
            .field("bytes", &self.data.len())
            .field("accepted_at", &self.accepted_at)
            .field("acknowledged", &self.acknowledged)
            .finish()
    }
}

pub(super) fn header(data: &str, name: &str) -> Option<String> {
    let mut lines = data.split("\r\n").take_while(|line| !line.is_empty()).peekable();
    while let Some(line) = lines.next() {
        let Some((found, value)) = line.split_once(':') else {
            continue;
        };
        if found.eq_ignore_ascii_case(name) {
            let mut value = value.trim().to_owned();
            while let Some(folded) = lines.next_if(|line| line.starts_with([' ', '\t'])) {
                value = value + " " + folded.trim();
            }
            return Some(value.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_without_case_and_unfolded_and_the_body_is_not_searched() {
        let data = "Subject: a\r\n\tlong one\r\nMESSAGE-ID:\r\n <1@here>\r\n\r\nTo: body\r\n";
        assert_eq!(header(data, "subject").as_deref(), Some("a long one"));
        assert_eq!(header(data, "Message-ID").as_deref(), Some("<1@here>"));
        assert_eq!(header(data, "To"), None);
    }
}
