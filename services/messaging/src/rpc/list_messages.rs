//! `ListMessages`: oldest first (C4). It marks nothing (I4).

use carepost_audit::Subject;
use carepost_proto::messaging::v1::{ListMessagesRequest, ListMessagesResponse};
use carepost_rpc::{Violations, page::List, status::not_found};
use tonic::Status;
use uuid::Uuid;

use super::{Call, Messaging, convert, status};

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: ListMessagesRequest,
) -> Result<ListMessagesResponse, Status> {
    let organization = &call.caller.organization;
    let filter = request.after_sequence.to_string();
    let person = call.person.to_string();
    let list = List::new(&[
        "ListMessages",
        organization.as_str(),
        &person,
        &request.conversation_id,
        &filter,
    ]);
    let (conversation, size, after) = parse(&list, &request)?;
    call.caller.occasion.note(Subject::conversation(conversation));
    let size = usize::try_from(size).unwrap_or_default();
    // One more than the page tells whether there is another page.
    let found = messaging
        .store
        .messages(organization, &call.person, conversation, after, size as u64 + 1)
        .await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let mut messages = found.ok_or_else(|| not_found("conversation"))?;
    let more = messages.len() > size;
    messages.truncate(size);
    let token = messages.last().filter(|_| more).map(|last| list.token(&last.sequence));
    Ok(ListMessagesResponse {
        messages: messages.into_iter().map(convert::message).collect(),
        next_page_token: token.unwrap_or_default(),
    })
}

fn parse(list: &List, request: &ListMessagesRequest) -> Result<(Uuid, u32, i64), Status> {
    let mut violations = Violations::default();
    let conversation = violations.uuid("conversation_id", &request.conversation_id);
    let size = violations.page_size(request.page_size);
    if request.after_sequence < 0 {
        violations.add("after_sequence", "must not be negative");
    }
    let position = violations.take("page_token", list.position::<i64>(&request.page_token));
    let after = position.map(|position| position.unwrap_or(request.after_sequence));
    violations.finish(
        conversation
            .zip(after)
            .map(|(conversation, after)| (conversation, size, after)),
    )
}
