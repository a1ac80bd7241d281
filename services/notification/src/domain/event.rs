//! Which emails follow from an event, and what identifies them.

use std::collections::BTreeSet;

use carepost_identity::{ChartId, OrganizationId, PersonId, StaffId};
use uuid::Uuid;

/// A message was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageSent {
    /// The event, the same at every redelivery.
    pub event_id: Uuid,
    /// The organization.
    pub organization: OrganizationId,
    /// The message.
    pub message_id: Uuid,
    /// Who wrote it.
    pub sender: PersonId,
    /// Everybody else in the conversation.
    pub recipients: Vec<PersonId>,
    /// The chart that the conversation regards, if any.
    pub chart: Option<ChartId>,
}

/// A delivery to be recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewDelivery {
    /// See [`delivery_id`].
    pub id: Uuid,
    /// The event that it follows from.
    pub event_id: Uuid,
    /// The message that it is about.
    pub message_id: Uuid,
    /// The chart that the message regards, if any.
    pub chart: Option<ChartId>,
    /// To whom.
    pub recipient: PersonId,
}

impl MessageSent {
    /// The members of staff who are told, if they asked for it.
    pub fn staff(&self) -> impl Iterator<Item = &StaffId> {
        self.told().filter_map(|person| match person {
            PersonId::Staff(id) => Some(id),
            PersonId::Portal(_) => None,
        })
    }

    /// One delivery for each portal user among the recipients (N1), and for each of these members of staff who asked for it
    /// (N2): each once, and never for the sender.
    #[must_use]
    pub fn deliveries(&self, asked_for_it: &BTreeSet<StaffId>) -> Vec<NewDelivery> {
        let is_told = |person: &&PersonId| match person {
            PersonId::Portal(_) => true,
            PersonId::Staff(id) => asked_for_it.contains(id),
        };
        let recipients: BTreeSet<_> = self.told().filter(is_told).collect();
        recipients
            .into_iter()
            .map(|recipient| self.delivery(recipient))
            .collect()
    }

    fn told(&self) -> impl Iterator<Item = &PersonId> {
        self.recipients.iter().filter(|person| **person != self.sender)
    }

    fn delivery(&self, recipient: &PersonId) -> NewDelivery {
        NewDelivery {
            id: delivery_id(self.event_id, recipient),
            event_id: self.event_id,
            message_id: self.message_id,
            chart: self.chart.clone(),
            recipient: recipient.clone(),
        }
    }
}

/// The id of a delivery: made of the event and the recipient alone, so that a redelivered event, and an email that is sent
/// again, are known for what they are.
#[must_use]
pub fn delivery_id(event: Uuid, recipient: &PersonId) -> Uuid {
    Uuid::new_v5(&event, recipient.to_string().as_bytes())
}

/// The Message-ID of a delivery's email: the same at every attempt.
#[must_use]
pub fn message_id_header(delivery: Uuid, domain: &str) -> String {
    format!("<{delivery}@{domain}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(recipients: &[&str]) -> MessageSent {
        MessageSent {
            event_id: Uuid::from_u128(7),
            organization: OrganizationId::parse("southern").unwrap(),
            message_id: Uuid::from_u128(8),
            sender: PersonId::parse("portal/me").unwrap(),
            recipients: recipients
                .iter()
                .map(|person| PersonId::parse(person).unwrap())
                .collect(),
            chart: None,
        }
    }

    fn recipients(deliveries: &[NewDelivery]) -> Vec<String> {
        deliveries.iter().map(|one| one.recipient.to_string()).collect()
    }

    #[test]
    fn n1_portal_recipients_get_one_each_and_staff_and_the_sender_none() {
        let event = event(&["portal/b", "staff/1", "portal/a", "portal/b", "portal/me"]);
        assert_eq!(
            recipients(&event.deliveries(&BTreeSet::new())),
            ["portal/a", "portal/b"]
        );
    }

    #[test]
    fn n2_staff_get_one_if_they_asked_for_it() {
        let asked = |id: &str| BTreeSet::from([StaffId::parse(id).unwrap()]);
        let sent = event(&["staff/1", "staff/2", "staff/1", "portal/a"]);
        assert_eq!(sent.staff().map(StaffId::as_str).collect::<Vec<_>>(), ["1", "2", "1"]);
        assert_eq!(recipients(&sent.deliveries(&asked("1"))), ["portal/a", "staff/1"]);
        // Neither who wrote it nor who is no recipient, whatever they asked for; nor a portal user of the same id.
        let own = MessageSent {
            sender: PersonId::parse("staff/1").unwrap(),
            ..event(&["staff/1", "staff/2", "portal/1"])
        };
        assert_eq!(recipients(&own.deliveries(&asked("1"))), ["portal/1"]);
    }

    #[test]
    fn an_id_is_the_same_for_the_same_event_and_recipient_alone() {
        let (a, b) = (
            PersonId::parse("portal/a").unwrap(),
            PersonId::parse("staff/a").unwrap(),
        );
        let id = delivery_id(Uuid::from_u128(7), &a);
        // A fixed value: a change of it would send every email in flight twice.
        assert_eq!(id.to_string(), "d5af0968-e129-50cf-8e0e-d56baf38aa42");
        assert_eq!(id, event(&["portal/a"]).deliveries(&BTreeSet::new())[0].id);
        assert!(id != delivery_id(Uuid::from_u128(7), &b) && id != delivery_id(Uuid::from_u128(8), &a));
        assert_eq!(
            message_id_header(Uuid::nil(), "x.org"),
            "<00000000-0000-0000-0000-000000000000@x.org>"
        );
    }
}
