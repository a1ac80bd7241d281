//! Reading the fields of a request: each is parsed, every wrong one is noted with its path, and none is repeated.

use std::fmt::Display;

use tonic::Status;
use tonic_types::FieldViolation;
use uuid::Uuid;

use crate::status;

/// The most entries of one page.
pub const MAX_PAGE_SIZE: u32 = 100;
/// How many a page has when the request does not say.
const DEFAULT_PAGE_SIZE: u32 = 25;
/// The most characters of a request id.
const MAX_REQUEST_ID: usize = 128;

/// The wrong fields of a request, found so far.
#[derive(Debug, Default)]
pub struct Violations(Vec<FieldViolation>);

impl Violations {
    /// Notes that the field at this path is wrong.
    pub fn add(&mut self, field: impl Into<String>, what: impl Display) {
        self.0.push(FieldViolation::new(field, what.to_string()));
    }

    /// Takes a parsed field, or notes why it could not be parsed. The error's text must not repeat the field's content.
    pub fn take<T, E: Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(field, error);
                None
            }
        }
    }

    /// A UUID.
    pub fn uuid(&mut self, field: &str, text: &str) -> Option<Uuid> {
        self.take(field, Uuid::parse_str(text).map_err(|_| "must be a UUID"))
    }

    /// A page size: 0 is 25, at most 100.
    pub fn page_size(&mut self, size: i32) -> u32 {
        match u32::try_from(size) {
            Ok(0) => DEFAULT_PAGE_SIZE,
            Ok(size) if size <= MAX_PAGE_SIZE => size,
            _ => {
                self.add("page_size", format!("must be from 0 to {MAX_PAGE_SIZE}"));
                DEFAULT_PAGE_SIZE
            }
        }
    }

    /// A request id: 1 to 128 printable ASCII characters.
    pub fn request_id(&mut self, text: &str) {
        if text.is_empty() || text.len() > MAX_REQUEST_ID || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            self.add(
                "request_id",
                format!("must be 1 to {MAX_REQUEST_ID} printable ASCII characters"),
            );
        }
    }

    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The violations themselves.
    #[must_use]
    pub fn into_inner(self) -> Vec<FieldViolation> {
        self.0
    }

    /// Gives what was read out, if every field of it was right.
    ///
    /// # Errors
    /// INVALID_ARGUMENT with every violation. If the value is missing without one, INTERNAL.
    pub fn finish<T>(self, value: Option<T>) -> Result<T, Status> {
        match value {
            Some(value) if self.0.is_empty() => Ok(value),
            None if self.0.is_empty() => Err(status::internal(&MissingViolation)),
            _ => Err(status::invalid_fields(self.0)),
        }
    }
}

/// A field was found wrong, but nothing said so.
#[derive(Debug, thiserror::Error)]
#[error("a field was refused without a violation")]
struct MissingViolation;

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    #[test]
    fn every_wrong_field_is_named() {
        let mut violations = Violations::default();
        let id = violations.uuid("conversation_id", "x");
        let size = violations.page_size(101);
        violations.request_id("a b");
        let refused = violations.finish(id.map(|id| (id, size))).unwrap_err();
        let details = refused.get_error_details();
        let fields: Vec<_> = details
            .bad_request()
            .unwrap()
            .field_violations
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        assert_eq!(fields, ["conversation_id", "page_size", "request_id"]);
    }
}
