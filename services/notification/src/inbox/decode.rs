//! From the payload of an event to the domain. Why one is malformed is told without its contents: operators read it.

use carepost_identity::{ChartId, IdError, OrganizationId, PersonId};
use carepost_proto::event::v1;
use prost::Message;
use uuid::Uuid;

use crate::domain::MessageSent;

/// The most recipients of a message.
const MAX_RECIPIENTS: usize = 50;

/// Why an event is malformed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("the payload is no carepost.event.v1.MessageSent")]
    Payload,
    #[error("{0} is no UUID")]
    Uuid(&'static str),
    #[error("{0} {1}")]
    Id(&'static str, IdError),
    #[error("recipients must be 1 to {MAX_RECIPIENTS}")]
    Recipients,
}

/// Decodes and checks an event.
pub(super) fn message_sent(payload: &[u8]) -> Result<MessageSent, Malformed> {
    let event = v1::MessageSent::decode(payload).map_err(|_| Malformed::Payload)?;
    uuid("conversation_id", &event.conversation_id)?;
    if !(1..=MAX_RECIPIENTS).contains(&event.recipients.len()) {
        return Err(Malformed::Recipients);
    }
    let recipients = event
        .recipients
        .iter()
        .map(|text| id("a recipient", PersonId::parse(text)));
    Ok(MessageSent {
        event_id: uuid("event_id", &event.event_id)?,
        organization: id("organization_id", OrganizationId::parse(event.organization_id))?,
        message_id: uuid("message_id", &event.message_id)?,
        sender: id("sender", PersonId::parse(&event.sender))?,
        recipients: recipients.collect::<Result<_, _>>()?,
        chart: event
            .chart_id
            .map(|chart| id("chart_id", ChartId::parse(chart)))
            .transpose()?,
    })
}

fn uuid(field: &'static str, text: &str) -> Result<Uuid, Malformed> {
    Uuid::parse_str(text).map_err(|_| Malformed::Uuid(field))
}

fn id<T>(field: &'static str, parsed: Result<T, IdError>) -> Result<T, Malformed> {
    parsed.map_err(|error| Malformed::Id(field, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> v1::MessageSent {
        v1::MessageSent {
            event_id: Uuid::from_u128(1).to_string(),
            organization_id: "southern".into(),
            conversation_id: Uuid::from_u128(2).to_string(),
            message_id: Uuid::from_u128(3).to_string(),
            sender: "staff/1".into(),
            recipients: vec!["portal/1".into()],
            chart_id: Some("c-1".into()),
            send_time: None,
        }
    }

    fn refused(change: impl FnOnce(&mut v1::MessageSent)) -> Malformed {
        let mut event = good();
        change(&mut event);
        message_sent(&event.encode_to_vec()).unwrap_err()
    }

    #[test]
    fn a_good_event_is_read_whole() {
        let event = message_sent(&good().encode_to_vec()).unwrap();
        assert_eq!(
            (event.event_id, event.message_id),
            (Uuid::from_u128(1), Uuid::from_u128(3))
        );
        assert_eq!(event.organization.as_str(), "southern");
        assert_eq!(event.recipients, [PersonId::parse("portal/1").unwrap()]);
        assert_eq!(event.chart, ChartId::parse("c-1").ok());
    }

    #[test]
    fn every_wrong_field_makes_it_malformed_and_none_is_repeated() {
        assert_eq!(message_sent(b"\xff\xff not a message"), Err(Malformed::Payload));
        assert_eq!(message_sent(b""), Err(Malformed::Uuid("conversation_id")));
        assert_eq!(
            refused(|event| event.event_id = "secret".into()),
            Malformed::Uuid("event_id")
        );
        assert_eq!(refused(|event| event.message_id.clear()), Malformed::Uuid("message_id"));
        assert_eq!(
            refused(|event| event.organization_id.clear()),
            Malformed::Id("organization_id", IdError::Empty)
        );
        assert_eq!(
            refused(|event| event.chart_id = Some("a b".into())),
            Malformed::Id("chart_id", IdError::Character)
        );
        assert_eq!(refused(|event| event.recipients.clear()), Malformed::Recipients);
        assert_eq!(
            refused(|event| event.recipients = vec!["portal/1".into(); 51]),
            Malformed::Recipients
        );
        let wrong = refused(|event| event.recipients.push("secret".into()));
        assert_eq!(wrong, Malformed::Id("a recipient", IdError::NoPerson));
        assert!(!wrong.to_string().contains("secret"), "{wrong}");
    }
}
