//! The cases of the eligibility decision.

use std::path::PathBuf;

use serde::Deserialize;

use crate::directory_file::{DirectoryFile, read_json, test_data};

/// A directory and what is to be decided in it.
#[derive(Clone, Deserialize)]
pub struct VectorSet {
    /// The directory.
    pub directory: DirectoryFile,
    /// The cases.
    pub cases: Vec<Case>,
}

/// One question and its answer.
#[derive(Clone, Debug, Deserialize)]
pub struct Case {
    /// The question.
    pub query: Query,
    /// The answer.
    pub expect: Expectation,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// May the staff member start a portal conversation?
    StartPortalByStaff,
    /// May the portal user?
    StartPortalByPortalUser,
    /// May the staff member reply in one?
    ReplyPortalByStaff,
    /// May the portal user?
    ReplyPortalByPortalUser,
    /// May the staff member start a staff conversation?
    StartStaff,
    /// May they reply in one?
    ReplyStaff,
    /// To which portal users may the staff member write about the chart?
    ListPortalRecipients,
    /// To which staff may the portal user write about the chart?
    ListStaffRecipientsForPortalUser,
    /// To which staff may the staff member write?
    ListStaffRecipients,
}

/// The parties of a question; which of them are given depends on the action.
#[derive(Clone, Debug, Deserialize)]
pub struct Query {
    /// What is asked.
    pub action: Action,
    /// Id of the staff member who acts or, where the portal user acts, is written to.
    pub staff: Option<String>,
    /// Id of the portal user.
    pub portal_user: Option<String>,
    /// Id of the chart.
    pub chart: Option<String>,
    /// Ids of the other staff of a staff conversation.
    #[serde(default)]
    pub recipients: Vec<String>,
}

/// The answer to a question.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum Expectation {
    /// To a start or a reply.
    Decision {
        /// Whether it is allowed.
        allowed: bool,
        /// All reasons against it, in order.
        reasons: Vec<ExpectedReason>,
    },
    /// To a list.
    Recipients {
        /// Their ids; compare as a set.
        recipients: Vec<String>,
    },
}

/// One reason against it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedReason {
    /// `UNKNOWN_CHART` for example: the proto's name without its prefix.
    pub reason: String,
    /// Id of whom it is about, where it is about somebody.
    pub party: Option<String>,
}

#[derive(Deserialize)]
struct File {
    sets: Vec<VectorSet>,
}

/// All sets of the file that the environment variable `CAREPOST_ELIGIBILITY_VECTORS` names, else of
/// `tests/data/eligibility.json`.
///
/// # Panics
/// If the file cannot be read, or holds no case: a test over none would say nothing.
#[must_use]
pub fn eligibility() -> Vec<VectorSet> {
    let named = std::env::var_os("CAREPOST_ELIGIBILITY_VECTORS").map(PathBuf::from);
    let path = named.unwrap_or_else(|| test_data("eligibility.json"));
    let file: File = read_json(&path);
    assert!(
        file.sets.iter().any(|set| !set.cases.is_empty()),
        "{} holds no case",
        path.display()
    );
    file.sets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_case_of_the_stored_file_is_read_with_the_parties_of_its_action() {
        let file: File = read_json(&test_data("eligibility.json"));
        let cases: Vec<&Case> = file.sets.iter().flat_map(|set| &set.cases).collect();
        assert_eq!(cases.len(), 600);
        for Case { query, expect } in cases {
            let listed = matches!(expect, Expectation::Recipients { .. });
            match query.action {
                Action::StartStaff | Action::ReplyStaff => assert!(!query.recipients.is_empty() && !listed),
                Action::ListPortalRecipients | Action::ListStaffRecipients => assert!(query.staff.is_some() && listed),
                Action::ListStaffRecipientsForPortalUser => assert!(query.portal_user.is_some() && listed),
                _ => assert!(query.staff.is_some() && query.portal_user.is_some() && query.chart.is_some() && !listed),
            }
        }
        assert!(file.sets.iter().all(|set| set.directory.import_requests().len() > 10));
    }
}
