//! The decision: may this message be sent now, and if not, every reason why.
//!
//! This file is the model; the logic is in `portal.rs` and `staff.rs`, one for each kind of conversation.

use std::collections::BTreeMap;

use carepost_identity::{ChartId, PersonId, PortalUserId, StaffId};

use super::directory::{AccountStatus, ConnectionStatus, Messaging, Name, Relationship, WebUrl};

mod compose;
mod portal;
mod question;
mod reason;
mod recipients;
mod staff;

pub use compose::{ChartPlace, ComposeOptions, Regardable, RegardableChart, portal_user_options, staff_options};
pub use question::{Action, MAX_RECIPIENTS, MalformedRecipients, PortalQuestion, Question, Sender, StaffQuestion};
pub use reason::Reason;
pub use recipients::{Candidacy, Candidate, NameQuery, Position, Recipient, RecipientList, candidacy};

/// What the directory and the settings say of the parties of one question. Raw: no rule has been applied to it.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The organization's general setting, if it was ever set.
    pub general: Option<Messaging>,
    /// The chart of the question, if there is one and it exists.
    pub chart: Option<ChartFacts>,
    /// Those of the question's staff who exist.
    pub staff: BTreeMap<StaffId, StaffFacts>,
    /// The portal user of the question, if they exist.
    pub portal_user: Option<PortalUserFacts>,
    /// All locations of the organization; only of a question without a chart.
    pub all_places: Places,
}

/// What is known of a chart.
#[derive(Clone, Debug)]
pub struct ChartFacts {
    /// The patient's name.
    pub patient_name: Name,
    /// Where the EMR shows it.
    pub url: Option<WebUrl>,
    /// Its location's own setting, if it has one.
    pub location_setting: Option<Messaging>,
}

/// What is known of a member of staff, and of them and the chart. Without a chart the latter is all false.
#[derive(Clone, Debug)]
pub struct StaffFacts {
    /// Their name.
    pub name: Name,
    /// Whether the account is active.
    pub active: bool,
    /// Whether they have the role `available_for_portal_messages`.
    pub available_for_portal_messages: bool,
    /// Whether they reach every location.
    pub all_locations: bool,
    /// Whether the chart's location is among those that they list.
    pub lists_location: bool,
    /// Whether they are on the chart's care team.
    pub on_care_team: bool,
    /// Whether they are barred from the chart.
    pub barred: bool,
    /// The existing locations that they list; only of the sender of a question without a chart.
    pub listed_places: Places,
}

/// What some locations have among their settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The own setting of at least one of them enables messaging.
    pub own_setting_enables: bool,
    /// At least one of them has no setting of its own.
    pub follows_general: bool,
}

/// What is known of a portal user, and of them and the chart.
#[derive(Clone, Debug)]
pub struct PortalUserFacts {
    /// Their name.
    pub name: Name,
    /// The state of the account.
    pub status: AccountStatus,
    /// Their connection to the chart, if there is one.
    pub connection: Option<(Relationship, ConnectionStatus)>,
}

/// The answer to one question.
#[derive(Clone, Debug)]
pub struct Decision {
    /// All the reasons why not, in their order; of one reason, by party. Allowed is who has none.
    pub denials: Vec<Denial>,
    /// The known parties of the question, with their names.
    pub parties: BTreeMap<PersonId, Name>,
    /// The chart of the question, if it is known.
    pub chart: Option<ChartSummary>,
    /// The access to the chart of the portal conversation's staff member, or of the staff conversation's sender. None
    /// without a chart, or if either is unknown.
    pub staff_chart_access: Option<ChartAccess>,
    /// Whether the portal user of a portal conversation has a confirmed connection to the chart, whatever else is unknown.
    pub portal_user_connected: bool,
    /// Whether a portal user would send.
    pub sent_by_portal_user: bool,
}

impl Decision {
    /// Whether the message may be sent.
    #[must_use]
    pub fn allowed(&self) -> bool {
        self.denials.is_empty()
    }

    /// What the sender can do about a reason, in English, in words for them (docs/adr/0028).
    #[must_use]
    pub fn remedy_for_sender(&self, reason: Reason) -> &'static str {
        if self.sent_by_portal_user {
            reason.remedy_for_portal_user()
        } else {
            reason.remedy()
        }
    }
}

/// What is told of a chart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartSummary {
    /// Its id.
    pub id: ChartId,
    /// The patient's name.
    pub patient_name: Name,
    /// Where the EMR shows it: only for staff who may see it now (C2).
    pub url: Option<WebUrl>,
}

/// One reason why not, with the party that it is about. Reasons about the chart or its location have none.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denial {
    /// The reason.
    pub reason: Reason,
    /// Whom it is about.
    pub party: Option<PersonId>,
}

/// What keeps a member of staff from a chart. With neither, they may see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChartAccess {
    /// They do not reach its location.
    pub no_location_access: bool,
    /// They are barred from it.
    pub barred: bool,
}

impl ChartAccess {
    /// Whether nothing keeps them from it.
    fn is_free(self) -> bool {
        !self.no_location_access && !self.barred
    }
}

/// Decides one question.
#[must_use]
pub fn decide(question: &Question, facts: &Facts) -> Decision {
    let mut denials = match question {
        Question::Portal(question) => portal::denials(question, facts),
        Question::Staff(question) => staff::denials(question, facts),
    };
    denials.sort();
    Decision {
        denials,
        parties: parties(question, facts),
        chart: chart(question, facts),
        staff_chart_access: staff_chart_access(question, facts),
        portal_user_connected: portal_user_connected(facts),
        sent_by_portal_user: question.is_sent_by_portal_user(),
    }
}

impl StaffFacts {
    /// Staff reach a location when they have all of them or list it.
    fn reaches_location(&self) -> bool {
        self.all_locations || self.lists_location
    }

    fn chart_access(&self) -> ChartAccess {
        ChartAccess {
            no_location_access: !self.reaches_location(),
            barred: self.barred,
        }
    }
}

impl PortalUserFacts {
    fn is_connected(&self) -> bool {
        matches!(self.connection, Some((_, ConnectionStatus::Confirmed)))
    }
}

impl Facts {
    /// The effective setting of the chart's location: its own if it has one, else the general one, whole.
    fn setting_at(&self, chart: &ChartFacts) -> Option<Messaging> {
        chart.location_setting.or(self.general)
    }
}

/// Collects denials.
#[derive(Default)]
struct Denials(Vec<Denial>);

impl Denials {
    fn add_if(&mut self, holds: bool, reason: Reason, party: Option<PersonId>) {
        if holds {
            self.0.push(Denial { reason, party });
        }
    }
}

fn parties(question: &Question, facts: &Facts) -> BTreeMap<PersonId, Name> {
    let staff = question.staff();
    let known = staff.filter_map(|id| Some((PersonId::from(id.clone()), facts.staff.get(id)?.name.clone())));
    let portal_user = question
        .portal_user()
        .and_then(|id| Some((PersonId::from(id.clone()), facts.portal_user.as_ref()?.name.clone())));
    known.chain(portal_user).collect()
}

fn chart(question: &Question, facts: &Facts) -> Option<ChartSummary> {
    let chart = facts.chart.as_ref()?;
    let access = staff_chart_access(question, facts).filter(|_| !question.is_sent_by_portal_user());
    Some(ChartSummary {
        id: question.chart()?.clone(),
        patient_name: chart.patient_name.clone(),
        url: chart.url.clone().filter(|_| access.is_some_and(ChartAccess::is_free)),
    })
}

fn staff_chart_access(question: &Question, facts: &Facts) -> Option<ChartAccess> {
    question.chart()?;
    facts.chart.as_ref()?;
    Some(facts.staff.get(question.staff().next()?)?.chart_access())
}

/// A connection counts once its chart is there.
fn portal_user_connected(facts: &Facts) -> bool {
    facts.chart.is_some() && facts.portal_user.as_ref().is_some_and(PortalUserFacts::is_connected)
}

fn staff_party(id: &StaffId) -> Option<PersonId> {
    Some(id.clone().into())
}

fn portal_party(id: &PortalUserId) -> Option<PersonId> {
    Some(id.clone().into())
}

#[cfg(test)]
mod tests;
