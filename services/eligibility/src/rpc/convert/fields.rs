//! The fields of one record: each is parsed, every wrong one is noted with its path.

use std::{collections::BTreeSet, fmt::Display};

use carepost_rpc::Violations;

/// The most entries of a list of ids.
pub(super) const MAX_ENTRIES: usize = 10_000;
/// The most wrong entries of one list that are noted: the answer must stay small.
pub(super) const MAX_NOTED: usize = 10;

/// The fields below a path.
pub(super) struct Fields<'a> {
    violations: &'a mut Violations,
    path: &'a str,
}

impl<'a> Fields<'a> {
    pub fn of(violations: &'a mut Violations, path: &'a str) -> Self {
        Self { violations, path }
    }

    pub fn add(&mut self, field: &str, what: impl Display) {
        self.violations.add(format!("{}.{field}", self.path), what);
    }

    /// A field that some type parses.
    pub fn take<T, E: Display>(&mut self, field: &str, parsed: Result<T, E>) -> Option<T> {
        parsed.map_err(|error| self.add(field, error)).ok()
    }

    /// A text of which empty means none.
    #[allow(clippy::option_option, reason = "the outer one is whether the field is right")]
    pub fn optional<T, E: Display>(
        &mut self,
        field: &str,
        text: String,
        parse: impl Fn(String) -> Result<T, E>,
    ) -> Option<Option<T>> {
        if text.is_empty() {
            return Some(None);
        }
        self.take(field, parse(text)).map(Some)
    }

    /// A value of an enum.
    pub fn word<T>(&mut self, field: &str, word: Option<T>) -> Option<T> {
        self.take(
            field,
            word.ok_or("must be given, and be one of the values that there are"),
        )
    }

    /// Entries of which each is right and none comes twice.
    pub fn set<R, T: Ord, E: Display>(
        &mut self,
        field: &str,
        entries: Vec<R>,
        most: usize,
        parse: impl Fn(R) -> Result<T, E>,
    ) -> Option<BTreeSet<T>> {
        if entries.len() > most {
            self.add(field, format!("must have at most {most} entries"));
            return None;
        }
        let mut set = BTreeSet::new();
        let mut wrong = 0;
        for (place, entry) in entries.into_iter().enumerate() {
            let path = format!("{field}[{place}]");
            match parse(entry).map(|entry| set.insert(entry)) {
                Ok(true) => continue,
                Ok(false) => self.add(&path, "came before"),
                Err(error) => self.add(&path, error),
            }
            wrong += 1;
            if wrong == MAX_NOTED {
                break;
            }
        }
        (wrong == 0).then_some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use carepost_identity::StaffId;

    fn violations_of(entries: Vec<String>) -> Vec<String> {
        let mut violations = Violations::default();
        let ids = Fields::of(&mut violations, "chart").set("care_team_ids", entries, 50, StaffId::parse);
        assert_eq!(ids.is_some(), violations.is_empty());
        violations
            .into_inner()
            .into_iter()
            .map(|violation| violation.field)
            .collect()
    }

    #[test]
    fn wrong_and_doubled_entries_are_named_by_their_place() {
        let entries = ["a", "b c", "a", "d"].map(str::to_owned).to_vec();
        assert_eq!(
            violations_of(entries),
            ["chart.care_team_ids[1]", "chart.care_team_ids[2]"]
        );
        assert_eq!(violations_of(vec![String::new(); 50]).len(), MAX_NOTED);
        assert_eq!(violations_of(vec![String::new(); 51]), ["chart.care_team_ids"]);
    }
}
