//! `MarkUnread`: from a message on, back only (I4).

use carepost_proto::messaging::v1::{MarkUnreadRequest, MarkUnreadResponse};
use tonic::Status;

use super::{Call, Messaging, convert, mark, replay};
use crate::domain::Mark;

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: MarkUnreadRequest,
) -> Result<MarkUnreadResponse, Status> {
    const FIELD: &str = "from_sequence";
    let sequence = request.from_sequence;
    let conversation = mark::parse(&request.request_id, &request.conversation_id, (FIELD, sequence))?;
    let key = replay::key("MarkUnread", &request.request_id, &request);
    let answered = messaging
        .mark(&call, key, conversation, (FIELD, Mark::Unread { from: sequence }))
        .await?;
    Ok(MarkUnreadResponse {
        unread_count: answered.conversation_unread,
        mailbox: Some(convert::mailbox(answered.mailbox)),
    })
}
