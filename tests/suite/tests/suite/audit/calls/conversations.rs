//! A conversation.

use carepost_proto::messaging::v1::*;

use super::Calls;
use crate::traffic::{PRAIRIE, request_id};

/// A conversation, and all that can be done with it. A request that comes twice changes nothing the second time.
pub(super) async fn conversations(calls: &mut Calls<'_>) {
    let (staff, guardian) = (calls.person(PRAIRIE.staff), calls.person(PRAIRIE.portal_user));
    let chart = format!("charts/{}", PRAIRIE.chart);
    let start = StartConversationRequest {
        request_id: request_id(),
        recipients: vec![PRAIRIE.portal_user.to_owned()],
        chart_id: Some(PRAIRIE.chart.to_owned()),
        subject: "A question".to_owned(),
        body: "How are you?".to_owned(),
    };
    let rpc = "messaging.v1.MessagingService/StartConversation";
    let of_start = [chart.as_str(), PRAIRIE.portal_user];
    let started: StartConversationResponse = calls.call(&staff, rpc, start.clone(), &of_start).await;
    let again: StartConversationResponse = calls.call_to(&staff, rpc, start, &of_start, "OK/UNCHANGED").await;
    let id = started.conversation_id;
    assert_eq!(again.conversation_id, id);
    let name = format!("conversations/{id}");
    let first = calls.made.len() - 2;
    calls.made[first].subjects.push(name.clone());
    let (own, both) = ([name.as_str()], [name.as_str(), chart.as_str()]);
    macro_rules! rpc {
        ($caller:expr, $name:literal, $request:expr, $answer:ty, $subjects:expr) => {
            let _: $answer = calls
                .call(
                    $caller,
                    concat!("messaging.v1.MessagingService/", $name),
                    $request,
                    $subjects,
                )
                .await;
        };
    }
    let reply = ReplyRequest {
        request_id: request_id(),
        conversation_id: id.clone(),
        body: "Well.".to_owned(),
    };
    rpc!(&guardian, "Reply", reply, ReplyResponse, &both);
    rpc!(
        &staff,
        "GetConversation",
        GetConversationRequest {
            conversation_id: id.clone()
        },
        GetConversationResponse,
        &both
    );
    rpc!(
        &staff,
        "ListConversations",
        ListConversationsRequest::default(),
        ListConversationsResponse,
        &both
    );
    let list = ListMessagesRequest {
        conversation_id: id.clone(),
        ..ListMessagesRequest::default()
    };
    rpc!(&staff, "ListMessages", list, ListMessagesResponse, &own);
    let search = SearchConversationsRequest {
        query: "well".to_owned(),
        ..SearchConversationsRequest::default()
    };
    rpc!(
        &staff,
        "SearchConversations",
        search,
        SearchConversationsResponse,
        &both
    );
    let mark = MarkReadRequest {
        request_id: request_id(),
        conversation_id: id.clone(),
        last_seen_sequence: 2,
    };
    rpc!(&staff, "MarkRead", mark, MarkReadResponse, &own);
    let mark = MarkUnreadRequest {
        request_id: request_id(),
        conversation_id: id.clone(),
        from_sequence: 2,
    };
    rpc!(&staff, "MarkUnread", mark, MarkUnreadResponse, &own);
    let archive = ArchiveConversationRequest {
        request_id: request_id(),
        conversation_id: id.clone(),
        last_seen_sequence: 2,
    };
    rpc!(
        &staff,
        "ArchiveConversation",
        archive,
        ArchiveConversationResponse,
        &own
    );
    let back = UnarchiveConversationRequest {
        request_id: request_id(),
        conversation_id: id,
    };
    rpc!(
        &staff,
        "UnarchiveConversation",
        back,
        UnarchiveConversationResponse,
        &own
    );
    let to = ListRecipientsRequest {
        kind: ConversationKind::Portal.into(),
        chart_id: Some(PRAIRIE.chart.to_owned()),
        ..ListRecipientsRequest::default()
    };
    rpc!(&staff, "ListRecipients", to, ListRecipientsResponse, &[&chart]);
    let options = GetComposeOptionsRequest {
        chart_id: Some(PRAIRIE.chart.to_owned()),
    };
    rpc!(
        &staff,
        "GetComposeOptions",
        options,
        GetComposeOptionsResponse,
        &[&chart]
    );
}
