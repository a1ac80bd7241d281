//! `UnarchiveConversation`: back to the Active folder (I2).

use carepost_proto::messaging::v1::{UnarchiveConversationRequest, UnarchiveConversationResponse};
use carepost_rpc::Violations;
use tonic::Status;

use super::{Call, Messaging, convert, replay};
use crate::domain::Mark;

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: UnarchiveConversationRequest,
) -> Result<UnarchiveConversationResponse, Status> {
    let mut violations = Violations::default();
    violations.request_id(&request.request_id);
    let conversation = violations.uuid("conversation_id", &request.conversation_id);
    let conversation = violations.finish(conversation)?;
    let key = replay::key("UnarchiveConversation", &request.request_id, &request);
    let answered = messaging.mark(&call, key, conversation, ("", Mark::Unarchive)).await?;
    Ok(UnarchiveConversationResponse {
        mailbox: Some(convert::mailbox(answered.mailbox)),
    })
}
