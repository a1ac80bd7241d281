//! `GetConversation`: for its participants, for ever (C5, C6).

use carepost_audit::Subject;
use carepost_proto::messaging::v1::{GetConversationRequest, GetConversationResponse};
use carepost_rpc::{Violations, status::not_found};
use tonic::Status;

use super::{Call, Messaging, reply_ability::show, status};
use crate::domain::Standing;

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: GetConversationRequest,
) -> Result<GetConversationResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.uuid("conversation_id", &request.conversation_id);
    let id = violations.finish(id)?;
    call.caller.occasion.note(Subject::conversation(id));
    let found = messaging
        .store
        .conversation(&call.caller.organization, &call.person, id)
        .await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let conversation = found.ok_or_else(|| not_found("conversation"))?;
    call.note_shown(&conversation);
    let standing = messaging
        .reply_abilities(&call, std::slice::from_ref(&conversation))
        .await
        .pop();
    Ok(GetConversationResponse {
        conversation: Some(show(conversation, standing.unwrap_or(Standing::UNKNOWN))),
    })
}
