//! What a person may start (R1): from the same facts as the decision on a start, as far as they go without a recipient.
//!
//! Whether staff may start a kind of conversation is what the decision says of them and of the chart; that there is nobody to
//! write to denies it to no one. A portal user may regard a chart exactly if their list of recipients for it is not empty: so
//! for each chart there is one candidate among the facts, if there is any, and the decision on a start to them counts.

use std::cmp::Ordering;

use carepost_identity::{ChartId, PortalUserId, StaffId};

use super::{Action, ChartSummary, Denials, Facts, PortalQuestion, Question, Sender, decide, portal, staff};
use crate::domain::directory::{Country, Name};

/// The most charts that are told.
const MAX_CHARTS: usize = 1_000;

/// What a person may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComposeOptions {
    /// A portal conversation: staff regarding the chart of the question; a portal user regarding it, or without one any.
    pub portal: bool,
    /// A staff conversation.
    pub staff: bool,
    /// Of a portal user: the charts that they can regard.
    pub charts: Vec<RegardableChart>,
    /// The country of the chart's location, if they may know of the chart; else of the organization.
    pub country: Option<Country>,
}

/// A chart that a portal user can regard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegardableChart {
    /// The chart, without a link.
    pub chart: ChartSummary,
    /// Where it is.
    pub place: ChartPlace,
}

/// Where a chart is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChartPlace {
    /// The name of the location.
    pub location_name: Name,
    /// The location's country, else the organization's.
    pub country: Country,
}

/// A chart to which a portal user has a confirmed connection, and the facts of a start to one of the staff.
#[derive(Clone, Debug)]
pub struct Regardable {
    /// The chart.
    pub chart: ChartId,
    /// Where it is.
    pub place: ChartPlace,
    /// Somebody of the staff for the start, if there is anybody.
    pub candidate: Option<StaffId>,
    /// The facts of the start.
    pub facts: Facts,
}

/// What a member of staff may start from a chart or without one. `place` is the chart's, if it exists.
#[must_use]
pub fn staff_options(
    id: &StaffId,
    with_chart: bool,
    facts: &Facts,
    place: Option<ChartPlace>,
    organization_country: Option<Country>,
) -> ComposeOptions {
    let sender = facts.staff.get(id);
    let unknown_chart = with_chart && facts.chart.is_none();
    let portal = facts.chart.as_ref().zip(sender).is_some_and(|(chart, sender)| {
        let mut denials = Denials::default();
        portal::of_staff(true, (id, sender), chart, facts, &mut denials);
        denials.0.is_empty()
    });
    let staff = sender.is_some_and(|sender| !unknown_chart && staff::may_start((id, sender), facts));
    // Whom the chart is kept from is not told where it is.
    let place = place.filter(|_| sender.is_some_and(|sender| sender.chart_access().is_free()));
    ComposeOptions {
        portal,
        staff,
        charts: Vec::new(),
        country: place.map(|place| place.country).or(organization_country),
    }
}

/// What a portal user may start, regarding a chart of their choice or any.
#[must_use]
pub fn portal_user_options(
    id: &PortalUserId,
    chosen: Option<&ChartId>,
    connected: Vec<Regardable>,
    organization_country: Option<Country>,
) -> ComposeOptions {
    let place = connected.iter().find(|regardable| chosen == Some(&regardable.chart));
    let country = place.map(|regardable| regardable.place.country.clone());
    let mut charts: Vec<_> = connected
        .into_iter()
        .filter_map(|regardable| regardable_chart(id, regardable))
        .collect();
    let portal = match chosen {
        Some(chart) => charts.iter().any(|regardable| regardable.chart.id == *chart),
        None => !charts.is_empty(),
    };
    charts.sort_by(by_name);
    charts.truncate(MAX_CHARTS);
    ComposeOptions {
        portal,
        staff: false,
        charts,
        country: country.or(organization_country),
    }
}

fn regardable_chart(id: &PortalUserId, regardable: Regardable) -> Option<RegardableChart> {
    let question = Question::Portal(PortalQuestion {
        action: Action::Start,
        sender: Sender::PortalUser,
        staff: regardable.candidate?,
        portal_user: id.clone(),
        chart: regardable.chart,
    });
    let decision = decide(&question, &regardable.facts);
    let chart = decision.allowed().then_some(decision.chart)??;
    Some(RegardableChart {
        chart,
        place: regardable.place,
    })
}

/// By the patient's name, then by id, as lists of recipients are.
fn by_name(one: &RegardableChart, other: &RegardableChart) -> Ordering {
    let key = |regardable: &RegardableChart| regardable.chart.patient_name.for_sorting();
    key(one)
        .cmp(&key(other))
        .then_with(|| one.chart.id.cmp(&other.chart.id))
}
