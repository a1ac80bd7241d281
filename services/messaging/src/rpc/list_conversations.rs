//! `ListConversations`: newest activity first (I1).

use carepost_proto::messaging::v1::{Folder, ListConversationsRequest, ListConversationsResponse};
use carepost_rpc::{Violations, page::List};
use chrono::DateTime;
use tonic::Status;
use uuid::Uuid;

use super::{Call, Messaging, convert, reply_ability::show, status};
use crate::store::{ConversationPosition, Shelf};

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: ListConversationsRequest,
) -> Result<ListConversationsResponse, Status> {
    let organization = &call.caller.organization;
    let shelf = shelf(&request)?;
    let kind = format!("{}/{}", shelf.archived, shelf.unread_only);
    let list = List::new(&[
        "ListConversations",
        organization.as_str(),
        &call.person.to_string(),
        &kind,
    ]);
    let (size, after) = parse(&list, &request)?;
    let size = usize::try_from(size).unwrap_or_default();
    let of_store = |error| status::of_store(&error);
    let mailbox = messaging
        .store
        .mailbox(organization, &call.person)
        .await
        .map_err(of_store)?;
    // One more than the page tells whether there is another page.
    let found = messaging
        .store
        .conversations(organization, &call.person, shelf, after, size as u64 + 1)
        .await;
    let mut conversations = found.map_err(of_store)?;
    let more = conversations.len() > size;
    conversations.truncate(size);
    conversations
        .iter()
        .for_each(|conversation| call.note_shown(conversation));
    let last = conversations.last().filter(|_| more).map(ConversationPosition::of);
    let token = last.map(|last| list.token(&(last.last_message_at.timestamp_micros(), last.id.to_string())));
    let standings = messaging.reply_abilities(&call, &conversations).await;
    Ok(ListConversationsResponse {
        conversations: conversations
            .into_iter()
            .zip(standings)
            .map(|(conversation, standing)| show(conversation, standing))
            .collect(),
        next_page_token: token.unwrap_or_default(),
        mailbox: Some(convert::mailbox(mailbox)),
    })
}

fn shelf(request: &ListConversationsRequest) -> Result<Shelf, Status> {
    let mut violations = Violations::default();
    let archived = match Folder::try_from(request.folder) {
        Ok(Folder::Unspecified | Folder::Active) => Some(false),
        Ok(Folder::Archived) => Some(true),
        Err(_) => {
            violations.add("folder", "must be FOLDER_ACTIVE or FOLDER_ARCHIVED");
            None
        }
    };
    violations.finish(archived.map(|archived| Shelf {
        archived,
        unread_only: request.unread_only,
    }))
}

fn parse(list: &List, request: &ListConversationsRequest) -> Result<(u32, Option<ConversationPosition>), Status> {
    let mut violations = Violations::default();
    let size = violations.page_size(request.page_size);
    let position = violations.take("page_token", list.position::<(i64, Uuid)>(&request.page_token));
    let position = position.map(|position| {
        position.and_then(|(micros, id)| {
            Some(ConversationPosition {
                last_message_at: DateTime::from_timestamp_micros(micros)?,
                id,
            })
        })
    });
    violations.finish(position.map(|position| (size, position)))
}
