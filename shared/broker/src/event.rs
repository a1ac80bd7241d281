//! An event, from the transaction that made it true to the broker.

use std::fmt;

use carepost_identity::OrganizationId;
use carepost_proto::event::v1::{DirectoryChanged, MailboxRead, MessageSent};
use chrono::{DateTime, Utc};
use prost::Message;
use uuid::Uuid;

use crate::trace::TraceHeaders;

/// How every payload is encoded.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// What kinds of events there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EventKind {
    /// A message was accepted: `carepost.event.v1.MessageSent`.
    MessageSent,
    /// Somebody changed what they see of a conversation: `carepost.event.v1.MailboxRead`.
    MailboxRead,
    /// Records or settings of the directory changed: `carepost.event.v1.DirectoryChanged`.
    DirectoryChanged,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::MessageSent, Self::MailboxRead, Self::DirectoryChanged];

    /// The routing key, which is also what the outbox keeps as `kind`.
    #[must_use]
    pub const fn routing_key(self) -> &'static str {
        match self {
            Self::MessageSent => "message.sent",
            Self::MailboxRead => "mailbox.read",
            Self::DirectoryChanged => "directory.changed",
        }
    }

    /// The full name of the payload's proto message: the AMQP property `type`.
    #[must_use]
    pub const fn message_type(self) -> &'static str {
        match self {
            Self::MessageSent => "carepost.event.v1.MessageSent",
            Self::MailboxRead => "carepost.event.v1.MailboxRead",
            Self::DirectoryChanged => "carepost.event.v1.DirectoryChanged",
        }
    }

    /// Whether it is for listeners alone: no work queue takes it, and it is published even while nobody listens. Any other
    /// kind that finds no queue is a failure.
    #[must_use]
    pub const fn is_hint(self) -> bool {
        match self {
            Self::MessageSent | Self::DirectoryChanged => false,
            Self::MailboxRead => true,
        }
    }

    /// The kind with this routing key.
    #[must_use]
    pub fn from_routing_key(key: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.routing_key() == key)
    }
}

/// An event. Its payload is never part of debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Event {
    /// The same at every redelivery.
    pub id: Uuid,
    /// The organization in which it happened.
    pub organization: OrganizationId,
    /// What happened.
    pub kind: EventKind,
    /// The encoded proto message of the kind.
    pub payload: Vec<u8>,
    /// The trace in which it happened.
    pub trace: TraceHeaders,
    /// When it happened.
    pub occurred_at: DateTime<Utc>,
}

impl Event {
    /// The event that a message was accepted. The id is to be the one in the payload.
    #[must_use]
    pub fn message_sent(
        id: Uuid,
        organization: OrganizationId,
        payload: &MessageSent,
        trace: TraceHeaders,
        occurred_at: DateTime<Utc>,
    ) -> Self {
        let kind = EventKind::MessageSent;
        Self::of(kind, (id, organization), payload, (trace, occurred_at))
    }

    /// The event that somebody changed what they see of a conversation. The id is to be the one in the payload.
    #[must_use]
    pub fn mailbox_read(
        id: Uuid,
        organization: OrganizationId,
        payload: &MailboxRead,
        trace: TraceHeaders,
        occurred_at: DateTime<Utc>,
    ) -> Self {
        let kind = EventKind::MailboxRead;
        Self::of(kind, (id, organization), payload, (trace, occurred_at))
    }

    /// The event that records or settings of the directory changed. The id is to be the one in the payload.
    #[must_use]
    pub fn directory_changed(
        id: Uuid,
        organization: OrganizationId,
        payload: &DirectoryChanged,
        trace: TraceHeaders,
        occurred_at: DateTime<Utc>,
    ) -> Self {
        let kind = EventKind::DirectoryChanged;
        Self::of(kind, (id, organization), payload, (trace, occurred_at))
    }

    fn of(
        kind: EventKind,
        (id, organization): (Uuid, OrganizationId),
        payload: &impl Message,
        (trace, occurred_at): (TraceHeaders, DateTime<Utc>),
    ) -> Self {
        let payload = payload.encode_to_vec();
        Self {
            id,
            organization,
            kind,
            payload,
            trace,
            occurred_at,
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("id", &self.id)
            .field("organization", &self.organization)
            .field("kind", &self.kind)
            .field("bytes", &self.payload.len())
            .field("trace", &self.trace)
            .field("occurred_at", &self.occurred_at)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_found_by_its_routing_key_and_its_type_exists() {
        let descriptors = prost_types::FileDescriptorSet::decode(carepost_proto::DESCRIPTOR_SET).unwrap();
        for kind in EventKind::ALL {
            assert_eq!(EventKind::from_routing_key(kind.routing_key()), Some(kind));
            let (package, name) = kind.message_type().rsplit_once('.').unwrap();
            let mut files = descriptors.file.iter().filter(|file| file.package() == package);
            assert!(files.any(|file| file.message_type.iter().any(|message| message.name() == name)));
        }
        assert_eq!(EventKind::from_routing_key("message.lost"), None);
    }

    #[test]
    fn debug_output_has_no_payload() {
        let organization = OrganizationId::parse("southern").unwrap();
        let payload = MessageSent {
            sender: "staff/9999".into(),
            ..MessageSent::default()
        };
        let event = Event::message_sent(
            Uuid::nil(),
            organization,
            &payload,
            TraceHeaders::default(),
            DateTime::UNIX_EPOCH,
        );
        let shown = format!("{event:?}");
        let bytes = format!("{:?}", event.payload);
        assert!(shown.contains(&Uuid::nil().to_string()));
        assert!(
            !shown.contains("9999") && !shown.contains(bytes.trim_matches(['[', ']'])),
            "{shown}"
        );
    }
}
