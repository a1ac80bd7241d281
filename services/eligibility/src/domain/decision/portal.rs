//! Portal conversations: of a member of staff and a portal user, regarding a chart.

use carepost_identity::StaffId;

use super::{
    Action, ChartFacts, Denial, Denials, Facts, PortalQuestion, Reason, Sender, StaffFacts, portal_party, staff_party,
};
use crate::domain::directory::{AccountStatus, Audience, Messaging};

pub(super) fn denials(question: &PortalQuestion, facts: &Facts) -> Vec<Denial> {
    let staff_id = || staff_party(&question.staff);
    let portal_id = || portal_party(&question.portal_user);
    let mut denials = Denials::default();
    let (Some(chart), Some(staff), Some(portal_user)) =
        (&facts.chart, facts.staff.get(&question.staff), &facts.portal_user)
    else {
        // Of somebody unknown nothing else can be said.
        denials.add_if(facts.chart.is_none(), Reason::UnknownChart, None);
        denials.add_if(
            !facts.staff.contains_key(&question.staff),
            Reason::UnknownStaff,
            staff_id(),
        );
        denials.add_if(facts.portal_user.is_none(), Reason::UnknownPortalUser, portal_id());
        return denials.0;
    };
    let started_by_staff = question.action == Action::Start && question.sender == Sender::Staff;
    of_staff(started_by_staff, (&question.staff, staff), chart, facts, &mut denials);
    let active = portal_user.status == AccountStatus::Active;
    denials.add_if(!active, Reason::PortalAccountNotActive, portal_id());
    denials.add_if(!portal_user.is_connected(), Reason::PortalUserNotConnected, portal_id());
    denials.0
}

/// The reasons that have nothing to do with the portal user.
pub(super) fn of_staff(
    started_by_staff: bool,
    (id, staff): (&StaffId, &StaffFacts),
    chart: &ChartFacts,
    facts: &Facts,
    denials: &mut Denials,
) {
    let staff_id = || staff_party(id);
    // Where messaging is off, its audience tells what else would be needed.
    let setting = facts.setting_at(chart);
    let disabled = setting.and_then(Messaging::enabled).is_none();
    let audience = setting.and_then(Messaging::audience);
    // Staff need the role to start anything. Under care_team_only a member of the team without it can be written to, and
    // can reply, so that no patient writes into a void.
    let role_needed = started_by_staff || audience == Some(Audience::SelectedUsers);
    let team_needed = audience == Some(Audience::CareTeamOnly);
    let lacks_role = role_needed && !staff.available_for_portal_messages;
    let not_on_team = team_needed && !staff.on_care_team;

    denials.add_if(disabled, Reason::MessagingDisabled, None);
    denials.add_if(!staff.active, Reason::StaffInactive, staff_id());
    denials.add_if(lacks_role, Reason::StaffLacksRole, staff_id());
    denials.add_if(!staff.reaches_location(), Reason::StaffNoLocationAccess, staff_id());
    denials.add_if(staff.barred, Reason::StaffBarredFromChart, staff_id());
    denials.add_if(not_on_team, Reason::StaffNotOnCareTeam, staff_id());
}
