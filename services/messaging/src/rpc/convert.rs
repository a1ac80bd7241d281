//! Values of the domain into those of the API.

use carepost_proto::messaging::v1 as proto;
use chrono::{DateTime, Utc};

use crate::domain::{Conversation, Kind, Mailbox, Message, Side};

pub(super) fn timestamp(time: DateTime<Utc>) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: time.timestamp(),
        nanos: time.timestamp_subsec_nanos().cast_signed(),
    }
}

pub(super) fn mailbox(mailbox: Mailbox) -> proto::Mailbox {
    proto::Mailbox {
        unread_count: mailbox.unread,
        revision: mailbox.revision,
    }
}

pub(super) fn message(message: Message) -> proto::Message {
    proto::Message {
        id: message.id.to_string(),
        conversation_id: message.conversation.to_string(),
        sequence: message.sequence,
        sender: message.sender.to_string(),
        body: message.body,
        send_time: Some(timestamp(message.sent_at)),
        unread: message.unread,
    }
}

fn folder(side: Side) -> proto::Folder {
    if side.archived {
        proto::Folder::Archived
    } else {
        proto::Folder::Active
    }
}

pub(super) fn conversation(conversation: Conversation) -> proto::Conversation {
    let kind = match conversation.kind {
        Kind::Portal => proto::ConversationKind::Portal,
        Kind::Staff => proto::ConversationKind::Staff,
    };
    let regarding = conversation.regarding.map(|regarding| proto::Regarding {
        chart_id: regarding.chart.into(),
        patient_name: regarding.patient_name,
        ..Default::default()
    });
    let participants = conversation.participants.into_iter().map(|party| proto::Participant {
        person: party.person.to_string(),
        display_name: party.display_name,
    });
    proto::Conversation {
        id: conversation.id.to_string(),
        kind: kind.into(),
        regarding,
        subject: conversation.subject,
        participants: participants.collect(),
        create_time: Some(timestamp(conversation.created_at)),
        last_message_time: Some(timestamp(conversation.last_message_at)),
        last_sequence: conversation.last_sequence,
        unread_count: conversation.side.unread,
        // It is asked of eligibility, where it is asked at all.
        reply_ability: None,
        folder: folder(conversation.side).into(),
        last_message: conversation.preview.map(|preview| proto::MessagePreview {
            sender: preview.sender.to_string(),
            text: preview.text,
        }),
        last_read_sequence: conversation.side.last_read,
        position: conversation.position,
    }
}
