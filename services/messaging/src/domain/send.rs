//! From what was asked, what eligibility says, the time and fresh ids to the rows that a send writes.

use carepost_identity::{ChartId, OrganizationId, PersonId};
use carepost_proto::event::v1::MessageSent;
use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::{Body, Decision, Kind, Participant, Parties, Regarding, Subject};

/// What a send is given from outside: the time and fresh ids.
#[derive(Clone, Copy, Debug)]
pub struct Made {
    /// For the conversation, should it be a new one.
    pub conversation: Uuid,
    /// For the message.
    pub message: Uuid,
    /// For the event.
    pub event: Uuid,
    /// The time.
    pub now: DateTime<Utc>,
}

/// A message about to be written, with the event that tells of it.
#[derive(Clone, Debug)]
pub struct NewMessage {
    /// Its id.
    pub id: Uuid,
    /// Who wrote it.
    pub sender: PersonId,
    /// What it says.
    pub body: Body,
    /// The event.
    pub event: MessageSent,
}

/// A conversation about to be written, with its first message.
#[derive(Clone, Debug)]
pub struct NewConversation {
    /// Its id.
    pub id: Uuid,
    /// Which parties it has.
    pub kind: Kind,
    /// What it regards.
    pub regarding: Option<Regarding>,
    /// Its subject.
    pub subject: Subject,
    /// Everybody in it, by id.
    pub participants: Vec<Participant>,
    /// The first message.
    pub message: NewMessage,
}

/// What somebody asks who starts a conversation.
#[derive(Clone, Debug)]
pub struct Start {
    /// Who starts it.
    pub sender: PersonId,
    /// Between whom it is.
    pub parties: Parties,
    /// Its subject.
    pub subject: Subject,
    /// The first message.
    pub body: Body,
}

/// Eligibility allowed a message, but did not name everybody. It is a fault of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("eligibility allowed a message without naming its parties")]
pub struct MissingName;

impl Start {
    /// The conversation to write, given that it is allowed.
    ///
    /// # Errors
    /// If the decision lacks a name.
    pub fn conversation(
        self,
        organization: &OrganizationId,
        decision: Decision,
        made: Made,
    ) -> Result<NewConversation, MissingName> {
        let everybody = self.parties.everybody();
        let mut names = decision.names;
        let participants = everybody
            .iter()
            .map(|person| {
                let display_name = names.remove(person).ok_or(MissingName)?;
                Ok(Participant {
                    person: person.clone(),
                    display_name,
                })
            })
            .collect::<Result<_, _>>()?;
        let regarding = match self.parties.chart().cloned() {
            Some(chart) => Some(Regarding {
                chart,
                patient_name: decision.patient_name.ok_or(MissingName)?,
            }),
            None => None,
        };
        let recipients = everybody.iter().filter(|person| **person != self.sender);
        let event = message_sent(
            organization,
            made,
            made.conversation,
            &self.sender,
            recipients,
            self.parties.chart(),
        );
        Ok(NewConversation {
            id: made.conversation,
            kind: self.parties.kind(),
            regarding,
            subject: self.subject,
            participants,
            message: NewMessage {
                id: made.message,
                sender: self.sender,
                body: self.body,
                event,
            },
        })
    }
}

/// What a reply has to know of its conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its id.
    pub id: Uuid,
    /// The chart that it regards.
    pub chart: Option<ChartId>,
    /// The sequence of its newest message.
    pub last_sequence: i64,
    /// Everybody in it, by id.
    pub participants: Vec<PersonId>,
}

impl Thread {
    /// The parties, as `sender` replies. `None` if what is stored is no conversation, which is a fault of ours.
    #[must_use]
    pub fn parties(&self, sender: &PersonId) -> Option<Parties> {
        let others: Vec<_> = self
            .participants
            .iter()
            .filter(|person| *person != sender)
            .cloned()
            .collect();
        Parties::between(sender, &others, self.chart.clone())
    }

    /// The message to write.
    #[must_use]
    pub fn reply(&self, organization: &OrganizationId, sender: PersonId, body: Body, made: Made) -> NewMessage {
        let recipients = self.participants.iter().filter(|person| **person != sender);
        let event = message_sent(organization, made, self.id, &sender, recipients, self.chart.as_ref());
        NewMessage {
            id: made.message,
            sender,
            body,
            event,
        }
    }
}

fn message_sent<'a>(
    organization: &OrganizationId,
    made: Made,
    conversation: Uuid,
    sender: &PersonId,
    recipients: impl Iterator<Item = &'a PersonId>,
    chart: Option<&ChartId>,
) -> MessageSent {
    MessageSent {
        event_id: made.event.to_string(),
        organization_id: organization.to_string(),
        conversation_id: conversation.to_string(),
        message_id: made.message.to_string(),
        sender: sender.to_string(),
        recipients: recipients.map(PersonId::to_string).collect(),
        chart_id: chart.map(ChartId::to_string),
        send_time: Some(prost_types::Timestamp {
            seconds: made.now.timestamp(),
            nanos: made.now.timestamp_subsec_nanos().cast_signed(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Limits;

    fn made() -> Made {
        let id = Uuid::from_u128;
        Made {
            conversation: id(1),
            message: id(2),
            event: id(3),
            now: DateTime::UNIX_EPOCH,
        }
    }

    fn start() -> (Start, Decision) {
        let sender = PersonId::parse("staff/1").unwrap();
        let guardian = PersonId::parse("portal/9").unwrap();
        let chart = ChartId::parse("c").unwrap();
        let parties = Parties::parse(&sender, std::slice::from_ref(&guardian), Some(chart), Limits::default()).unwrap();
        let decision = Decision {
            denials: Vec::new(),
            names: [(sender.clone(), "Nurse".to_owned()), (guardian, "Guardian".to_owned())].into(),
            patient_name: Some("Patient".to_owned()),
            chart_url: None,
            staff_chart_access: None,
            portal_user_connected: true,
        };
        let subject = Subject::parse("Subject", Limits::default()).unwrap();
        let body = Body::parse("Body", Limits::default()).unwrap();
        (
            Start {
                sender,
                parties,
                subject,
                body,
            },
            decision,
        )
    }

    #[test]
    fn an_event_holds_ids_and_routing_only() {
        let (start, decision) = start();
        let organization = OrganizationId::parse("org").unwrap();
        let event = start
            .conversation(&organization, decision, made())
            .unwrap()
            .message
            .event;
        assert_eq!(event.recipients, ["portal/9"]);
        let all = format!("{event:?}");
        for private in ["Nurse", "Guardian", "Patient", "Subject", "Body"] {
            assert!(!all.contains(private), "{private}");
        }
    }

    #[test]
    fn a_conversation_copies_the_names_of_all_its_parties() {
        let (start, decision) = start();
        let organization = OrganizationId::parse("org").unwrap();
        let conversation = start
            .clone()
            .conversation(&organization, decision.clone(), made())
            .unwrap();
        let names: Vec<_> = conversation
            .participants
            .iter()
            .map(|party| party.display_name.as_str())
            .collect();
        assert_eq!(names, ["Guardian", "Nurse"]);
        let nameless = Decision {
            names: [].into(),
            ..decision
        };
        assert_eq!(
            start.conversation(&organization, nameless, made()).map(drop),
            Err(MissingName)
        );
    }
}
