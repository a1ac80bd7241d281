//! Whether the reader of a conversation can reply now (I6), and what else eligibility's answer shows them.

use carepost_identity::PersonId;

use super::{Conversation, Decision, Denial, Parties, told_to_portal_user, told_to_staff_replying};

/// Whether the reader can reply now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyAbility {
    /// They can.
    Allowed,
    /// They cannot: every reason that they may know. Never empty.
    Denied(Vec<Denial>),
    /// Eligibility does not answer.
    Unknown,
}

/// What is shown to the reader of a conversation beside what is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Standing {
    /// Whether they can reply.
    pub reply: ReplyAbility,
    /// Where the EMR shows the chart, for staff who may see it (C2).
    pub view_patient_url: Option<String>,
}

impl Standing {
    /// What is shown while eligibility does not answer.
    pub const UNKNOWN: Self = Self {
        reply: ReplyAbility::Unknown,
        view_patient_url: None,
    };

    /// What a decision about a reply shows to the one who would write it.
    #[must_use]
    pub fn of(parties: &Parties, decision: &Decision) -> Self {
        let denials = told_to_who_replies(parties, decision);
        let reply = if denials.is_empty() {
            ReplyAbility::Allowed
        } else {
            ReplyAbility::Denied(denials)
        };
        Self {
            reply,
            view_patient_url: view_patient_url(parties, decision),
        }
    }
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The link is no name, but it leads to one.
        f.debug_struct("Standing")
            .field("reply", &self.reply)
            .finish_non_exhaustive()
    }
}

impl Conversation {
    /// The parties, as the reader replies. `None` if what is stored is no conversation, which is a fault of ours.
    #[must_use]
    pub fn parties(&self, reader: &PersonId) -> Option<Parties> {
        let everybody = self.participants.iter().map(|participant| &participant.person);
        let others: Vec<_> = everybody.filter(|person| *person != reader).cloned().collect();
        let chart = self.regarding.as_ref().map(|regarding| regarding.chart.clone());
        Parties::between(reader, &others, chart)
    }
}

/// What a participant is told of why they may not reply; nothing if they may. The other one is in a conversation of theirs:
/// this one.
#[must_use]
pub fn told_to_who_replies(parties: &Parties, decision: &Decision) -> Vec<Denial> {
    match parties {
        Parties::Staff { .. } => decision.denials.clone(),
        Parties::Portal {
            staff,
            sent_by_portal_user,
            ..
        } => {
            let staff = PersonId::from(staff.clone());
            if *sent_by_portal_user {
                told_to_portal_user(decision, &staff, true)
            } else {
                told_to_staff_replying(decision, &staff)
            }
        }
    }
}

/// Eligibility gives the link only where the staff member of the question may see the chart. That this is the reader, and that
/// nothing keeps them from it, is checked once more: a portal user's answer is about their staff member's access.
fn view_patient_url(parties: &Parties, decision: &Decision) -> Option<String> {
    let by_portal_user = matches!(
        parties,
        Parties::Portal {
            sent_by_portal_user: true,
            ..
        }
    );
    let access = decision.staff_chart_access?;
    if by_portal_user || access.no_location_access || access.barred {
        return None;
    }
    decision.chart_url.clone()
}

#[cfg(test)]
mod tests {
    use carepost_identity::ChartId;
    use carepost_proto::common::v1::EligibilityReason as Reason;

    use super::*;
    use crate::domain::ChartAccess;

    fn person(text: &str) -> PersonId {
        PersonId::parse(text).unwrap()
    }

    fn parties(reader: &str, other: &str) -> Parties {
        let chart = ChartId::parse("c").ok();
        Parties::between(&person(reader), &[person(other)], chart).unwrap()
    }

    fn decision(reasons: &[Reason], access: ChartAccess) -> Decision {
        let denial = |reason: &Reason| Denial {
            reason: *reason,
            party: None,
            remedy: "…".to_owned(),
        };
        Decision {
            denials: reasons.iter().map(denial).collect(),
            names: [].into(),
            patient_name: Some("Patient".to_owned()),
            chart_url: Some("https://emr.example.org/c".to_owned()),
            staff_chart_access: Some(access),
            portal_user_connected: true,
        }
    }

    const SEES: ChartAccess = ChartAccess {
        no_location_access: false,
        barred: false,
    };

    #[test]
    fn c2_the_link_is_for_staff_who_may_see_the_chart() {
        let link = |parties: &Parties, access| Standing::of(parties, &decision(&[], access)).view_patient_url;
        let barred = ChartAccess { barred: true, ..SEES };
        let elsewhere = ChartAccess {
            no_location_access: true,
            ..SEES
        };
        for other in ["portal/1", "staff/2"] {
            let staff = parties("staff/1", other);
            assert_eq!(link(&staff, SEES).as_deref(), Some("https://emr.example.org/c"));
            assert_eq!((link(&staff, barred), link(&staff, elsewhere)), (None, None));
        }
        assert_eq!(link(&parties("portal/1", "staff/1"), SEES), None);
    }

    #[test]
    fn c2_who_cannot_reply_may_still_see_the_chart() {
        let standing = Standing::of(
            &parties("staff/1", "portal/1"),
            &decision(&[Reason::MessagingDisabled], SEES),
        );
        assert!(matches!(standing.reply, ReplyAbility::Denied(denials) if denials.len() == 1));
        assert!(standing.view_patient_url.is_some());
    }

    #[test]
    fn i6_what_is_told_is_redacted_as_in_a_refusal() {
        let reasons = [Reason::PortalAccountNotActive, Reason::StaffBarredFromChart];
        let barred = decision(&reasons, ChartAccess { barred: true, ..SEES });
        let told = told_to_who_replies(&parties("staff/1", "portal/1"), &barred);
        assert_eq!(
            told.iter().map(|denial| denial.reason).collect::<Vec<_>>(),
            [Reason::StaffBarredFromChart]
        );
        let foreign = Decision {
            portal_user_connected: false,
            ..decision(&[Reason::PortalUserNotConnected], SEES)
        };
        let told = told_to_who_replies(&parties("portal/1", "staff/1"), &foreign);
        assert_eq!(
            told.iter().map(|denial| denial.reason).collect::<Vec<_>>(),
            [Reason::UnknownChart]
        );
    }
}
