//! What the reader of conversations is shown of them beside what is stored: whether they can reply (I6), and where the EMR
//! shows the chart (C2). The same for one conversation, for a list and for what a search found.

use std::time::Duration;

use carepost_proto::messaging::v1 as proto;
use carepost_rpc::deadline::Deadline;

use super::{Call, Messaging, convert};
use crate::domain::{Conversation, Decision, Denial, Named, Parties, ReplyAbility, Standing};

/// How long reading waits for eligibility; less if the call's deadline is near: half of what is left.
const PATIENCE: Duration = Duration::from_secs(2);

impl Messaging {
    /// What the caller is shown of each of their conversations, in their order. A page of usual conversations is one question
    /// to eligibility. It never fails: while eligibility does not answer, it is unknown.
    pub(super) async fn reply_abilities(&self, call: &Call, conversations: &[Conversation]) -> Vec<Standing> {
        let parties: Vec<_> = conversations
            .iter()
            .map(|conversation| conversation.parties(&call.person))
            .collect();
        let asked: Vec<_> = parties.iter().flatten().cloned().collect();
        let mut decisions = self.ask_of_replies(call, &asked).await.into_iter();
        let mut standings = Vec::with_capacity(conversations.len());
        let mut outdated = Named::default();
        for (conversation, parties) in conversations.iter().zip(&parties) {
            let decided = parties.as_ref().and_then(|parties| Some((parties, decisions.next()?)));
            standings.push(match decided {
                Some((parties, decision)) => {
                    outdated.extend(conversation.outdated(&decision));
                    Standing::of(parties, &decision)
                }
                None => Standing::UNKNOWN,
            });
        }
        self.outdated.tell(&call.caller.organization, outdated);
        standings
    }

    /// Nothing if there is no answer.
    async fn ask_of_replies(&self, call: &Call, parties: &[Parties]) -> Vec<Decision> {
        let deadline = Deadline::after(PATIENCE.min(call.deadline.remaining() / 2));
        let organization = &call.caller.organization;
        let answered = self.eligibility.check_replies(organization, deadline, parties).await;
        answered.unwrap_or_else(|error| {
            tracing::warn!(%error, conversations = parties.len(), "reply ability is unknown");
            Vec::new()
        })
    }
}

/// A conversation with what its reader is shown beside it.
pub(super) fn show(conversation: Conversation, standing: Standing) -> proto::Conversation {
    let mut shown = convert::conversation(conversation);
    shown.reply_ability = Some(ability(standing.reply));
    if let (Some(regarding), Some(url)) = (&mut shown.regarding, standing.view_patient_url) {
        regarding.view_patient_url = url;
    }
    shown
}

fn ability(reply: ReplyAbility) -> proto::ReplyAbility {
    let (state, denials) = match reply {
        ReplyAbility::Allowed => (proto::ReplyState::Allowed, Vec::new()),
        ReplyAbility::Denied(denials) => (proto::ReplyState::Denied, denials),
        ReplyAbility::Unknown => (proto::ReplyState::Unknown, Vec::new()),
    };
    proto::ReplyAbility {
        state: state.into(),
        denials: denials.into_iter().map(denial).collect(),
    }
}

fn denial(denial: Denial) -> proto::ReplyDenial {
    proto::ReplyDenial {
        reason: denial.reason.into(),
        party: denial.party.map(|party| party.to_string()).unwrap_or_default(),
        remedy: denial.remedy,
    }
}
