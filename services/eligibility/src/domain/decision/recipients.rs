//! Lists of recipients: exactly whom a start would be allowed to now (R2).

use std::fmt;

use carepost_folding::fold_query;
use carepost_identity::{ChartId, PersonId, PortalUserId, StaffId};

use super::{Action, Decision, Facts, PortalQuestion, Question, Sender, StaffQuestion, decide};
use crate::domain::directory::{Name, Relationship, TextError};

/// The most characters of a query.
const MAX_QUERY: usize = 200;

/// Whom to list for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecipientList {
    /// The portal users that a member of staff may write to regarding a chart.
    PortalUsersForStaff(StaffId, ChartId),
    /// The staff that a portal user may write to regarding a chart.
    StaffForPortalUser(PortalUserId, ChartId),
    /// The staff that a member of staff may write to.
    StaffForStaff(StaffId, Option<ChartId>),
}

impl RecipientList {
    /// The question of a start; none if nobody could ask it: about the sender as recipient, or the other kind of person.
    #[must_use]
    pub fn question(&self, candidate: &PersonId) -> Option<Question> {
        let portal = |sender, staff: &StaffId, portal_user: &PortalUserId, chart: &ChartId| {
            Some(Question::Portal(PortalQuestion {
                action: Action::Start,
                sender,
                staff: staff.clone(),
                portal_user: portal_user.clone(),
                chart: chart.clone(),
            }))
        };
        match (self, candidate) {
            (Self::PortalUsersForStaff(staff, chart), PersonId::Portal(user)) => {
                portal(Sender::Staff, staff, user, chart)
            }
            (Self::StaffForPortalUser(user, chart), PersonId::Staff(staff)) => {
                portal(Sender::PortalUser, staff, user, chart)
            }
            (Self::StaffForStaff(sender, chart), PersonId::Staff(staff)) => {
                let recipients = vec![staff.clone()];
                StaffQuestion::new(Action::Start, sender.clone(), recipients, chart.clone())
                    .ok()
                    .map(Question::Staff)
            }
            _ => None,
        }
    }
}

/// What is looked for in names, whatever its case and accents: folded as names are. Nothing is found in every name. What
/// somebody types here is mostly a patient's name, so `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct NameQuery(String);

impl fmt::Debug for NameQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameQuery(…)")
    }
}

impl NameQuery {
    /// Parses what somebody typed; spaces around it do not count.
    ///
    /// # Errors
    /// If it has more than 200 characters.
    pub fn parse(text: &str) -> Result<Self, TextError> {
        if text.len() > MAX_QUERY && text.chars().count() > MAX_QUERY {
            return Err(TextError::TooLong(MAX_QUERY));
        }
        Ok(Self(fold_query(text)))
    }

    /// Whether every name has it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The folded text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Somebody who may be in the list, with the facts of a start to them.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Who it is.
    pub person: PersonId,
    /// Where they are in the list.
    pub position: Position,
    /// The facts.
    pub facts: Facts,
}

/// A place in a list: by name, then by id. `Debug` shows the id alone.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The name in lower case.
    pub sort_name: String,
    /// The id.
    pub id: String,
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Position").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a start to a candidate would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Candidacy {
    /// Allowed: they are in the list.
    Recipient(Recipient),
    /// Denied for a reason of theirs.
    NotThem,
    /// Denied for a reason that has nothing to do with them: so it would be to anybody.
    Nobody,
}

/// Somebody in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Who it is.
    pub person: PersonId,
    /// The name.
    pub name: Name,
    /// Of a portal user: how they are connected to the chart.
    pub relationship: Option<Relationship>,
}

/// Decides on one candidate.
#[must_use]
pub fn candidacy(list: &RecipientList, candidate: &Candidate) -> Candidacy {
    let Some(question) = list.question(&candidate.person) else {
        return Candidacy::NotThem;
    };
    let decision = decide(&question, &candidate.facts);
    let about_them = |party: &Option<PersonId>| party.as_ref() == Some(&candidate.person);
    if !decision.denials.iter().all(|denial| about_them(&denial.party)) {
        return Candidacy::Nobody;
    }
    recipient(candidate, decision).map_or(Candidacy::NotThem, Candidacy::Recipient)
}

fn recipient(candidate: &Candidate, mut decision: Decision) -> Option<Recipient> {
    if !decision.allowed() {
        return None;
    }
    let name = decision.parties.remove(&candidate.person)?;
    let connection = candidate.facts.portal_user.as_ref().and_then(|user| user.connection);
    let is_portal_user = matches!(candidate.person, PersonId::Portal(_));
    let relationship = connection
        .filter(|_| is_portal_user)
        .map(|(relationship, _)| relationship);
    Some(Recipient {
        person: candidate.person.clone(),
        name,
        relationship,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_is_in_what_is_logged_of_a_list() {
        let query = NameQuery::parse("Streich").unwrap();
        let candidate = Candidate {
            person: PersonId::parse("portal/u1").unwrap(),
            position: Position {
                sort_name: "lucia streich".to_owned(),
                id: "u1".to_owned(),
            },
            facts: Facts::default(),
        };
        let logged = format!("{query:?} {candidate:?} {candidate:#?}");
        assert!(!logged.to_lowercase().contains("streich"), "{logged}");
        assert!(logged.contains("u1"));
    }
}
