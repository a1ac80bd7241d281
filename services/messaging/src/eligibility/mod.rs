//! Asking eligibility: who may write to whom, and what everybody is called.

mod activity;
mod convert;
mod names;

use carepost_identity::OrganizationId;
use carepost_proto::eligibility::v1::{
    BatchCheckEligibilityRequest, CheckEligibilityRequest, GetComposeOptionsRequest, GetComposeOptionsResponse,
    ListEligibleRecipientsRequest, ListEligibleRecipientsResponse, Question,
    eligibility_service_client::EligibilityServiceClient,
};
use carepost_rpc::{
    deadline::Deadline,
    peer::{Peer, PeerError},
};
use prost::Message as _;
use tonic::transport::Channel;

use crate::domain::{Decision, Parties};

pub use names::MOST_NAMES;

/// The most questions of one call.
const MOST_QUESTIONS: usize = 100;
/// The most bytes of the questions of one call: well below what eligibility takes.
const MOST_BYTES: usize = 200_000;
/// The longest answer: a page of conversations with fifty long names each.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

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
            question: Some(convert::question(doing, parties)),
        };
        let answer = self
            .0
            .call(organization, Some(deadline), request, |channel, request| async move {
                client(channel).check_eligibility(request).await
            })
            .await?;
        answer.decision.and_then(convert::decision).ok_or(NoDecision::Answer)
    }

    /// Whether replies may be sent now, in the order of the questions. Up to a hundred of usual length are one call, answered
    /// from one state of the directory.
    ///
    /// # Errors
    /// If there are not all decisions in time.
    pub async fn check_replies(
        &self,
        organization: &OrganizationId,
        deadline: Deadline,
        parties: &[Parties],
    ) -> Result<Vec<Decision>, NoDecision> {
        let questions = parties.iter().map(|parties| convert::question(Doing::Reply, parties));
        let mut decisions = Vec::with_capacity(parties.len());
        for questions in in_calls(questions) {
            let asked = questions.len();
            let request = BatchCheckEligibilityRequest { questions };
            let answer = self
                .0
                .call(organization, Some(deadline), request, |channel, request| async move {
                    client(channel).batch_check_eligibility(request).await
                })
                .await?;
            if answer.decisions.len() != asked {
                return Err(NoDecision::Answer);
            }
            for decision in answer.decisions {
                decisions.push(convert::decision(decision).ok_or(NoDecision::Answer)?);
            }
        }
        Ok(decisions)
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

    /// What a person may start now.
    ///
    /// # Errors
    /// If there is no answer in time.
    pub async fn compose_options(
        &self,
        organization: &OrganizationId,
        deadline: Deadline,
        request: GetComposeOptionsRequest,
    ) -> Result<GetComposeOptionsResponse, PeerError> {
        self.0
            .call(organization, Some(deadline), request, |channel, request| async move {
                client(channel).get_compose_options(request).await
            })
            .await
    }
}

fn client(channel: Channel) -> EligibilityServiceClient<Channel> {
    EligibilityServiceClient::new(channel).max_decoding_message_size(LONGEST_ANSWER)
}

/// Questions in as many calls as their number and length need: one, as a rule.
fn in_calls(questions: impl Iterator<Item = Question>) -> Vec<Vec<Question>> {
    let mut calls: Vec<Vec<Question>> = Vec::new();
    let mut bytes = 0;
    for question in questions {
        let length = question.encoded_len();
        match calls.last_mut() {
            Some(call) if call.len() < MOST_QUESTIONS && bytes + length <= MOST_BYTES => {
                bytes += length;
                call.push(question);
            }
            _ => {
                bytes = length;
                calls.push(vec![question]);
            }
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use carepost_proto::eligibility::v1::{StaffParties, question};

    use super::*;

    fn question(length: usize) -> Question {
        let parties = StaffParties {
            sender_id: "s".repeat(length),
            ..StaffParties::default()
        };
        Question {
            parties: Some(question::Parties::Staff(parties)),
            ..Question::default()
        }
    }

    fn calls(lengths: impl Iterator<Item = usize>) -> Vec<usize> {
        in_calls(lengths.map(question)).iter().map(Vec::len).collect()
    }

    #[test]
    fn a_page_of_usual_conversations_is_one_call_and_a_longer_one_is_as_many_as_it_needs() {
        assert_eq!(calls(std::iter::empty()), Vec::<usize>::new());
        assert_eq!(calls(std::iter::repeat_n(500, 100)), [100]);
        assert_eq!(calls(std::iter::repeat_n(500, 101)), [100, 1]);
        assert_eq!(calls(std::iter::repeat_n(60_000, 7)), [3, 3, 1]);
    }
}
