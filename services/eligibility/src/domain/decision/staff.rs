//! Staff conversations: of a member of staff and others, regarding a chart or none.

use carepost_identity::StaffId;

use super::{Action, Denial, Denials, Facts, Reason, StaffFacts, StaffQuestion, staff_party};
use crate::domain::directory::Messaging;

pub(super) fn denials(question: &StaffQuestion, facts: &Facts) -> Vec<Denial> {
    let unknown = unknown_parties(question, facts);
    // Nobody unknown means that the sender is known.
    let Some(sender) = facts.staff.get(question.sender()).filter(|_| unknown.is_empty()) else {
        return unknown;
    };
    let mut denials = Denials::default();
    denials.add_if(!is_on(sender, facts), Reason::MessagingDisabled, None);
    denials.add_if(!sender.active, Reason::StaffInactive, staff_party(question.sender()));
    match question.action {
        Action::Start => start(question, sender, facts, &mut denials),
        Action::Reply => {
            let active = |id: &StaffId| facts.staff.get(id).is_some_and(|staff| staff.active);
            let nobody = !question.recipients().iter().any(active);
            denials.add_if(nobody, Reason::NoActiveRecipient, None);
        }
    }
    denials.0
}

fn start(question: &StaffQuestion, sender: &StaffFacts, facts: &Facts, denials: &mut Denials) {
    let with_chart = question.chart().is_some();
    sender_of_start((question.sender(), sender), with_chart, denials);
    for id in question.recipients() {
        let Some(recipient) = facts.staff.get(id) else { continue };
        denials.add_if(!recipient.active, Reason::RecipientInactive, staff_party(id));
        let barred = with_chart && recipient.barred;
        denials.add_if(barred, Reason::RecipientBarredFromChart, staff_party(id));
    }
}

/// What a sender lacks to start anything.
fn sender_of_start((id, sender): (&StaffId, &StaffFacts), with_chart: bool, denials: &mut Denials) {
    let sender_id = || staff_party(id);
    let lacks_role = !sender.available_for_portal_messages;
    denials.add_if(lacks_role, Reason::StaffLacksRole, sender_id());
    let no_access = with_chart && !sender.reaches_location();
    denials.add_if(no_access, Reason::StaffNoLocationAccess, sender_id());
    denials.add_if(with_chart && sender.barred, Reason::StaffBarredFromChart, sender_id());
}

/// Whether a known sender may start a conversation with somebody, if there is anybody, regarding the chart of the facts or none.
pub(super) fn may_start((id, sender): (&StaffId, &StaffFacts), facts: &Facts) -> bool {
    let mut denials = Denials::default();
    sender_of_start((id, sender), facts.chart.is_some(), &mut denials);
    is_on(sender, facts) && sender.active && denials.0.is_empty()
}

/// In a reply, of the staff only the sender has to be known: somebody else may have left since.
fn unknown_parties(question: &StaffQuestion, facts: &Facts) -> Vec<Denial> {
    let mut denials = Denials::default();
    let unknown_chart = question.chart().is_some() && facts.chart.is_none();
    denials.add_if(unknown_chart, Reason::UnknownChart, None);
    let unknown = |id: &StaffId| !facts.staff.contains_key(id);
    denials.add_if(
        unknown(question.sender()),
        Reason::UnknownStaff,
        staff_party(question.sender()),
    );
    if question.action == Action::Start {
        for id in question.recipients() {
            denials.add_if(unknown(id), Reason::UnknownStaff, staff_party(id));
        }
    }
    denials.0
}

/// With a chart: at its location. Without one: at one location at least that the sender reaches.
fn is_on(sender: &StaffFacts, facts: &Facts) -> bool {
    if let Some(chart) = &facts.chart {
        return facts.setting_at(chart).and_then(Messaging::enabled).is_some();
    }
    let reached = if sender.all_locations {
        facts.all_places
    } else {
        sender.listed_places
    };
    let general = facts.general.and_then(Messaging::enabled).is_some();
    reached.own_setting_enables || (reached.follows_general && general)
}
