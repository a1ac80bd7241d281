//! Which emails follow from an event, and what identifies them.

use std::collections::BTreeSet;

use carepost_identity::{ChartId, OrganizationId, PersonId, PortalUserId};
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
    pub recipient: PortalUserId,
}

impl MessageSent {
    /// One delivery for each portal user among the recipients: each once, and never the sender. Staff get none (N2).
    #[must_use]
    pub fn deliveries(&self) -> Vec<NewDelivery> {
        let portal_users: BTreeSet<&PortalUserId> = self
            .recipients
            .iter()
            .filter(|recipient| **recipient != self.sender)
            .filter_map(|recipient| match recipient {
                PersonId::Portal(id) => Some(id),
                PersonId::Staff(_) => None,
            })
            .collect();
        portal_users
            .into_iter()
            .map(|recipient| self.delivery(recipient))
            .collect()
    }

    fn delivery(&self, recipient: &PortalUserId) -> NewDelivery {
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
pub fn delivery_id(event: Uuid, recipient: &PortalUserId) -> Uuid {
    Uuid::new_v5(&event, format!("portal/{recipient}").as_bytes())
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

    #[test]
    fn portal_recipients_get_one_each_and_staff_and_the_sender_none() {
        let deliveries = event(&["portal/b", "staff/1", "portal/a", "portal/b", "portal/me"]).deliveries();
        let recipients: Vec<_> = deliveries.iter().map(|delivery| delivery.recipient.as_str()).collect();
        assert_eq!(recipients, ["a", "b"]);
        assert!(event(&["staff/1"]).deliveries().is_empty());
    }

    #[test]
    fn an_id_is_the_same_for_the_same_event_and_recipient_alone() {
        let (a, b) = (PortalUserId::parse("a").unwrap(), PortalUserId::parse("b").unwrap());
        let id = delivery_id(Uuid::from_u128(7), &a);
        // A fixed value: a change of it would send every email in flight twice.
        assert_eq!(id.to_string(), "d5af0968-e129-50cf-8e0e-d56baf38aa42");
        assert_eq!(id, event(&["portal/a"]).deliveries()[0].id);
        assert!(id != delivery_id(Uuid::from_u128(7), &b) && id != delivery_id(Uuid::from_u128(8), &a));
        assert_eq!(
            message_id_header(Uuid::nil(), "x.org"),
            "<00000000-0000-0000-0000-000000000000@x.org>"
        );
    }
}
