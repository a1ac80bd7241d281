//! Asking eligibility: who may write to whom.

use carepost_identity::{OrganizationId, PersonId, StaffId};
use carepost_proto::{
    common::v1::EligibilityReason,
    eligibility::v1::{
        self as proto, Action, CheckEligibilityRequest, ListEligibleRecipientsRequest, ListEligibleRecipientsResponse,
        PortalParties, Question, StaffParties, eligibility_service_client::EligibilityServiceClient, question,
    },
};
use carepost_rpc::{
    deadline::Deadline,
    peer::{Peer, PeerError},
};
use tonic::transport::Channel;

use crate::domain::{ChartAccess, Decision, Denial, Parties};

/// What the sender is about to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Start a conversation.
    Start,
    /// Reply in one.
    Reply,
}

/// The eligibility service.
#[derive(Clone)]
pub struct Eligibility(Peer);

/// Why there is no decision. There is none that allows by default.
#[derive(Debug, thiserror::Error)]
pub enum NoDecision {
    /// It does not answer, or refused a question that was well formed.
    #[error(transparent)]
    Peer(#[from] PeerError),
    /// Its answer cannot be understood.
    #[error("the answer of eligibility cannot be understood")]
    Answer,
}

impl Eligibility {
    /// The service behind this peer.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self(peer)
    }

    /// Whether a message may be sent now.
    ///
    /// # Errors
    /// If there is no decision in time.
    pub async fn check(
        &self,
        organization: &OrganizationId,
        deadline: Deadline,
        doing: Doing,
        parties: &Parties,
    ) -> Result<Decision, NoDecision> {
        let request = CheckEligibilityRequest {
            question: Some(question(doing, parties)),
        };
        let answer = self
            .0
            .call(organization, Some(deadline), request, |channel, request| async move {
                client(channel).check_eligibility(request).await
            })
            .await?;
        answer.decision.and_then(decision).ok_or(NoDecision::Answer)
    }

    /// Whom a person may start a conversation with now.
    ///
    /// # Errors
    /// If there is no answer in time, or the page token is refused.
    pub async fn recipients(
        &self,
        organization: &OrganizationId,
        deadline: Deadline,
        request: ListEligibleRecipientsRequest,
    ) -> Result<ListEligibleRecipientsResponse, PeerError> {
        self.0
            .call(organization, Some(deadline), request, |channel, request| async move {
                client(channel).list_eligible_recipients(request).await
            })
            .await
    }
}

fn client(channel: Channel) -> EligibilityServiceClient<Channel> {
    EligibilityServiceClient::new(channel)
}

fn question(doing: Doing, parties: &Parties) -> Question {
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
fn decision(answer: proto::Decision) -> Option<Decision> {
    if answer.allowed != answer.denials.is_empty() {
        return None;
    }
    let denials = answer.denials.into_iter().map(denial).collect::<Option<_>>()?;
    let named = |party: proto::Party| Some((PersonId::parse(&party.person).ok()?, party.display_name));
    Some(Decision {
        denials,
        names: answer.parties.into_iter().map(named).collect::<Option<_>>()?,
        patient_name: answer.chart.map(|chart| chart.patient_name),
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
    Some(Denial {
        reason,
        party,
        remedy: denial.remedy,
    })
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
}
