//! `MarkRead`: up to the last message that the person saw, forward only (I1, I4).

use carepost_proto::messaging::v1::{MarkReadRequest, MarkReadResponse};
use tonic::Status;

use super::{Call, Messaging, convert, mark, replay};
use crate::domain::Mark;

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: MarkReadRequest,
) -> Result<MarkReadResponse, Status> {
    const FIELD: &str = "last_seen_sequence";
    let sequence = request.last_seen_sequence;
    let conversation = mark::parse(&request.request_id, &request.conversation_id, (FIELD, sequence))?;
    let key = replay::key("MarkRead", &request.request_id, &request);
    let answered = messaging
        .mark(&call, key, conversation, (FIELD, Mark::Read { up_to: sequence }))
        .await?;
    Ok(MarkReadResponse {
        unread_count: answered.conversation_unread,
        mailbox: Some(convert::mailbox(answered.mailbox)),
    })
}
