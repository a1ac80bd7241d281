//! What a record is about.

use std::fmt;

use carepost_identity::{ChartId, LocationId, MAX_ID_LENGTH, OrganizationId, PersonId};
use uuid::Uuid;

/// The most subjects of one record. Who has more of them to tell writes several records.
pub const MOST_SUBJECTS: usize = 256;

/// The name of a resource: its kind and its id, such as `conversations/…` or `charts/…`. It is made of ids that were parsed, never
/// of what somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// A conversation.
    #[must_use]
    pub fn conversation(id: Uuid) -> Self {
        Self(format!("conversations/{id}"))
    }

    /// A message.
    #[must_use]
    pub fn message(id: Uuid) -> Self {
        Self(format!("messages/{id}"))
    }

    /// A delivery of an email.
    #[must_use]
    pub fn delivery(id: Uuid) -> Self {
        Self(format!("deliveries/{id}"))
    }

    /// A chart.
    #[must_use]
    pub fn chart(id: &ChartId) -> Self {
        Self(format!("charts/{id}"))
    }

    /// A person: `staff/ID` or `portal/ID`.
    #[must_use]
    pub fn person(id: &PersonId) -> Self {
        Self(id.to_string())
    }

    /// A location.
    #[must_use]
    pub fn location(id: &LocationId) -> Self {
        Self(format!("locations/{id}"))
    }

    /// An organization.
    #[must_use]
    pub fn organization(id: &OrganizationId) -> Self {
        Self(format!("organizations/{id}"))
    }

    /// Something else of this kind; none if the id is not an id: 1 to 128 printable ASCII characters without spaces.
    #[must_use]
    pub fn named(kind: &'static str, id: &str) -> Option<Self> {
        let fits = (1..=MAX_ID_LENGTH).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Self(format!("{kind}/{id}")))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Subjects as they are stored: a space between each two, which no id has. What is too much is told by its number.
pub(crate) fn joined<'a>(subjects: impl IntoIterator<Item = &'a Subject>) -> String {
    let mut text = String::new();
    let mut left_out = 0;
    for (place, subject) in subjects.into_iter().enumerate() {
        if place >= MOST_SUBJECTS {
            left_out += 1;
            continue;
        }
        if place > 0 {
            text.push(' ');
        }
        text.push_str(subject.as_str());
    }
    if left_out > 0 {
        text.push_str(&format!(" more/{left_out}"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_that_is_none_names_nothing() {
        assert_eq!(Subject::named("brands", "l-1").unwrap().as_str(), "brands/l-1");
        for wrong in ["", "two words", "line\nbreak", "größe", &"x".repeat(129)] {
            assert_eq!(Subject::named("brands", wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn subjects_are_bounded_and_tell_how_many_are_left_out() {
        let many: Vec<_> = (0..300)
            .map(|n| Subject::named("charts", &n.to_string()).unwrap())
            .collect();
        assert_eq!(joined(&many[..2]), "charts/0 charts/1");
        let text = joined(&many);
        assert_eq!(text.split(' ').count(), MOST_SUBJECTS + 1);
        assert!(text.ends_with("charts/255 more/44"), "{text}");
        assert_eq!(joined([]), "");
    }
}
