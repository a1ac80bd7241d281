//! What a person is told of why they may not write (eligibility.md, "What a person is told"). One rule: an answer never
//! confirms that somebody is a patient. Each function gives the same answer for what does not exist and for what the person
//! has no business with.

use carepost_identity::PersonId;
use carepost_proto::common::v1::EligibilityReason as Reason;

use super::{ChartAccess, Decision, Denial};

/// What a portal user is told who starts or replies. `knows_staff`: the staff member is in a conversation of theirs.
///
/// A staff member in their recipient list may be written to, so whoever is denied and not in a conversation is no one that
/// they know of.
#[must_use]
pub fn told_to_portal_user(decision: &Decision, staff: &PersonId, knows_staff: bool) -> Vec<Denial> {
    if decision.denials.is_empty() {
        return Vec::new();
    }
    if !decision.portal_user_connected {
        return vec![plain(Reason::UnknownChart, None)];
    }
    if !knows_staff {
        return vec![plain(Reason::UnknownStaff, Some(staff))];
    }
    decision.denials.clone()
}

/// What staff are told who start a portal conversation.
///
/// Who may not see the chart learns that alone. Who may is not told more of a portal user without a connection to the chart
/// than of one who does not exist.
#[must_use]
pub fn told_to_staff_starting(decision: &Decision, staff: &PersonId, portal_user: &PersonId) -> Vec<Denial> {
    if decision.denials.is_empty() {
        return Vec::new();
    }
    if let Some(denials) = kept_from_chart(decision, staff) {
        return denials;
    }
    let about_question: Vec<_> = decision
        .denials
        .iter()
        .filter(|denial| matches!(denial.reason, Reason::UnknownChart | Reason::UnknownStaff))
        .cloned()
        .collect();
    if !about_question.is_empty() {
        return about_question;
    }
    if !decision.portal_user_connected {
        return vec![plain(Reason::UnknownPortalUser, Some(portal_user))];
    }
    decision.denials.clone()
}

/// What staff are told who start a conversation among staff. Who may not see the chart learns that alone: which colleagues
/// are barred from it would tell whose chart it is.
#[must_use]
pub fn told_to_staff_among_staff(decision: &Decision, sender: &PersonId) -> Vec<Denial> {
    match kept_from_chart(decision, sender) {
        Some(denials) if !decision.denials.is_empty() => denials,
        _ => decision.denials.clone(),
    }
}

/// What staff are told who reply in a portal conversation. They know the portal user; but who may no longer see the chart
/// learns that alone.
#[must_use]
pub fn told_to_staff_replying(decision: &Decision, staff: &PersonId) -> Vec<Denial> {
    told_to_staff_among_staff(decision, staff)
}

fn kept_from_chart(decision: &Decision, staff: &PersonId) -> Option<Vec<Denial>> {
    let ChartAccess {
        no_location_access,
        barred,
    } = decision.staff_chart_access?;
    let denials: Vec<_> = [
        no_location_access.then(|| plain(Reason::StaffNoLocationAccess, Some(staff))),
        barred.then(|| plain(Reason::StaffBarredFromChart, Some(staff))),
    ]
    .into_iter()
    .flatten()
    .collect();
    Some(denials).filter(|denials| !denials.is_empty())
}

/// A denial in words that depend on nothing but the reason.
fn plain(reason: Reason, party: Option<&PersonId>) -> Denial {
    let remedy = match reason {
        Reason::UnknownChart => "Choose one of your charts.",
        Reason::UnknownStaff => "Choose somebody from the list of recipients.",
        Reason::UnknownPortalUser => "Choose somebody who is connected to this chart from the list of recipients.",
        Reason::StaffNoLocationAccess => "Ask an administrator for access to the chart's location.",
        Reason::StaffBarredFromChart => "Access to this chart is restricted; ask your privacy office.",
        _ => "",
    };
    Denial {
        reason,
        party: party.cloned(),
        remedy: remedy.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn person(text: &str) -> PersonId {
        PersonId::parse(text).unwrap()
    }

    fn decision(reasons: &[(Reason, Option<&str>)], access: Option<ChartAccess>, connected: bool) -> Decision {
        let denials = reasons
            .iter()
            .map(|(reason, party)| Denial {
                reason: *reason,
                party: party.map(person),
                remedy: "…".to_owned(),
            })
            .collect();
        Decision {
            denials,
            names: [].into(),
            patient_name: None,
            chart_url: None,
            staff_chart_access: access,
            portal_user_connected: connected,
        }
    }

    const STAFF: &str = "staff/1";
    const USER: &str = "portal/1";
    const SEES: Option<ChartAccess> = Some(ChartAccess {
        no_location_access: false,
        barred: false,
    });
    const BARRED: Option<ChartAccess> = Some(ChartAccess {
        no_location_access: false,
        barred: true,
    });

    #[test]
    fn a_portal_user_cannot_tell_a_foreign_chart_from_none() {
        let foreign = decision(&[(Reason::PortalUserNotConnected, Some(USER))], SEES, false);
        let none = decision(&[(Reason::UnknownChart, None)], None, false);
        let nobody = decision(&[(Reason::UnknownStaff, Some(STAFF))], None, false);
        let told: Vec<_> = [foreign, none, nobody]
            .map(|d| told_to_portal_user(&d, &person(STAFF), true))
            .into();
        assert_eq!(
            told[0].iter().map(|denial| denial.reason).collect::<Vec<_>>(),
            [Reason::UnknownChart]
        );
        assert!(told.iter().all(|other| *other == told[0]));
    }

    #[test]
    fn a_portal_user_cannot_tell_staff_they_do_not_know_from_nobody() {
        let inactive = decision(&[(Reason::StaffInactive, Some(STAFF))], SEES, true);
        let nobody = decision(&[(Reason::UnknownStaff, Some(STAFF))], None, true);
        let staff = person(STAFF);
        assert_eq!(
            told_to_portal_user(&inactive, &staff, false),
            told_to_portal_user(&nobody, &staff, false)
        );
        assert_eq!(told_to_portal_user(&inactive, &staff, true), inactive.denials);
    }

    #[test]
    fn staff_who_may_not_see_the_chart_learn_nothing_of_the_portal_user() {
        let (staff, user) = (person(STAFF), person(USER));
        let patient = decision(&[(Reason::StaffBarredFromChart, Some(STAFF))], BARRED, true);
        let ghost = decision(&[(Reason::UnknownPortalUser, Some(USER))], BARRED, false);
        let told = told_to_staff_starting(&patient, &staff, &user);
        assert_eq!(
            told.iter().map(|denial| denial.reason).collect::<Vec<_>>(),
            [Reason::StaffBarredFromChart]
        );
        assert_eq!(told, told_to_staff_starting(&ghost, &staff, &user));
        assert_eq!(told_to_staff_replying(&patient, &staff), told);
    }

    #[test]
    fn staff_who_may_not_see_the_chart_do_not_learn_which_colleagues_are_barred_from_it() {
        let staff = person(STAFF);
        let reasons = [
            (Reason::StaffBarredFromChart, Some(STAFF)),
            (Reason::RecipientBarredFromChart, Some("staff/2")),
        ];
        let told = told_to_staff_among_staff(&decision(&reasons, BARRED, false), &staff);
        assert_eq!(
            told.iter().map(|denial| denial.reason).collect::<Vec<_>>(),
            [Reason::StaffBarredFromChart]
        );
        let seeing = decision(&reasons[1..], SEES, false);
        assert_eq!(told_to_staff_among_staff(&seeing, &staff), seeing.denials);
    }

    #[test]
    fn staff_cannot_tell_an_unconnected_portal_user_from_nobody() {
        let (staff, user) = (person(STAFF), person(USER));
        let unconnected = decision(
            &[
                (Reason::PortalAccountNotActive, Some(USER)),
                (Reason::PortalUserNotConnected, Some(USER)),
            ],
            SEES,
            false,
        );
        let ghost = decision(&[(Reason::UnknownPortalUser, Some(USER))], SEES, false);
        let told = told_to_staff_starting(&unconnected, &staff, &user);
        assert_eq!(told, told_to_staff_starting(&ghost, &staff, &user));
        let chartless = decision(
            &[(Reason::UnknownChart, None), (Reason::UnknownPortalUser, Some(USER))],
            None,
            false,
        );
        let known = decision(&[(Reason::UnknownChart, None)], None, false);
        assert_eq!(
            told_to_staff_starting(&chartless, &staff, &user),
            told_to_staff_starting(&known, &staff, &user)
        );
    }

    #[test]
    fn who_may_write_is_told_nothing() {
        let allowed = decision(&[], SEES, true);
        assert!(told_to_portal_user(&allowed, &person(STAFF), false).is_empty());
        assert!(told_to_staff_starting(&allowed, &person(STAFF), &person(USER)).is_empty());
    }
}
