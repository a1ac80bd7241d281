//! `ArchiveConversation`: unless a newer message came than the person saw (I1).

use carepost_proto::messaging::v1::{ArchiveConversationRequest, ArchiveConversationResponse};
use tonic::Status;

use super::{Call, Messaging, convert, mark, replay};
use crate::domain::Mark;

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: ArchiveConversationRequest,
) -> Result<ArchiveConversationResponse, Status> {
    const FIELD: &str = "last_seen_sequence";
    let sequence = request.last_seen_sequence;
    let conversation = mark::parse(&request.request_id, &request.conversation_id, (FIELD, sequence))?;
    let key = replay::key("ArchiveConversation", &request.request_id, &request);
    let answered = messaging
        .mark(&call, key, conversation, (FIELD, Mark::Archive { last_seen: sequence }))
        .await?;
    Ok(ArchiveConversationResponse {
        mailbox: Some(convert::mailbox(answered.mailbox)),
    })
}
