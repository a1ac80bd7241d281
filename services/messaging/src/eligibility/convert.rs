//! Questions and answers of eligibility, between its protos and the domain.

use carepost_identity::{PersonId, StaffId};
use carepost_proto::{
    common::v1::EligibilityReason,
    eligibility::v1::{self as proto, Action, PortalParties, Question, StaffParties, question},
};

use super::Doing;
use crate::domain::{ChartAccess, Decision, Denial, Parties};

pub(super) fn question(doing: Doing, parties: &Parties) -> Question {
    let action = match doing {
        Doing::Start => Action::Start,
        Doing::Reply => Action::Reply,
    };
    let parties = match parties {
        Parties::Portal {
            staff,
            portal_user,
            chart,
            sent_by_portal_user,
        } => question::Parties::Portal(PortalParties {
            staff_id: staff.to_string(),
            portal_user_id: portal_user.to_string(),
            chart_id: chart.to_string(),
            sent_by_portal_user: *sent_by_portal_user,
        }),
        Parties::Staff {
            sender,
            recipients,
            chart,
        } => question::Parties::Staff(StaffParties {
            sender_id: sender.to_string(),
            recipient_ids: recipients.iter().map(StaffId::to_string).collect(),
            chart_id: chart.as_ref().map(ToString::to_string),
        }),
    };
    Question {
        action: action.into(),
        parties: Some(parties),
    }
}

/// `None` if it contradicts itself or names what this version does not know: that allows nothing.
pub(super) fn decision(answer: proto::Decision) -> Option<Decision> {
    if answer.allowed != answer.denials.is_empty() {
        return None;
    }
    let denials = answer.denials.into_iter().map(denial).collect::<Option<_>>()?;
    let (patient_name, chart_url) = answer
        .chart
        .map(|chart| (chart.patient_name, Some(chart.url).filter(|url| !url.is_empty())))
        .unzip();
    let named = |party: proto::Party| Some((PersonId::parse(&party.person).ok()?, party.display_name));
    Some(Decision {
        denials,
        names: answer.parties.into_iter().map(named).collect::<Option<_>>()?,
        patient_name,
        chart_url: chart_url.flatten(),
        staff_chart_access: answer.staff_chart_access.map(|access| ChartAccess {
            no_location_access: access.no_location_access,
            barred: access.barred,
        }),
        portal_user_connected: answer.portal_user_connected,
    })
}

fn denial(denial: proto::Denial) -> Option<Denial> {
    let reason = EligibilityReason::try_from(denial.reason).ok()?;
    let party = if denial.party.is_empty() {
        None
    } else {
        Some(PersonId::parse(&denial.party).ok()?)
    };
    // An eligibility service of an older version has one wording for all.
    let remedy = if denial.remedy_for_sender.is_empty() {
        denial.remedy
    } else {
        denial.remedy_for_sender
    };
    Some(Denial { reason, party, remedy })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_contradicts_itself_is_no_decision() {
        let denied = proto::Denial {
            reason: EligibilityReason::StaffInactive.into(),
            ..Default::default()
        };
        let allowed_but = proto::Decision {
            allowed: true,
            denials: vec![denied],
            ..Default::default()
        };
        assert!(decision(allowed_but).is_none());
        let denied_without_reason = proto::Decision {
            allowed: false,
            ..Default::default()
        };
        assert!(decision(denied_without_reason).is_none());
        let newer = proto::Denial {
            reason: 999,
            ..Default::default()
        };
        assert!(
            decision(proto::Decision {
                allowed: false,
                denials: vec![newer],
                ..Default::default()
            })
            .is_none()
        );
    }

    #[test]
    fn the_remedy_is_the_one_for_who_would_send() {
        let remedy = |for_sender: &str| {
            let denied = proto::Denial {
                reason: EligibilityReason::StaffInactive.into(),
                remedy: "An administrator can do something.".to_owned(),
                remedy_for_sender: for_sender.to_owned(),
                ..Default::default()
            };
            denial(denied).unwrap().remedy
        };
        assert_eq!(remedy("Call the clinic."), "Call the clinic.");
        assert_eq!(remedy(""), "An administrator can do something.");
    }
}
