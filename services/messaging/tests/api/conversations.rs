//! What a conversation is, who sees it, and how lists go on.

use carepost_proto::messaging::v1::{
    Conversation, ConversationKind, GetConversationRequest, ListConversationsRequest, ListMessagesRequest,
    ListRecipientsRequest, Relationship,
};
use tonic::Code;

use crate::support::{
    CLERK, Column, DOCTOR, GUARDIAN, NURSE, Service, fields, on_both, portal_start, reason, reply_to, request_id,
};

async fn get(service: &Service, person: &str, id: &str) -> Result<Conversation, tonic::Status> {
    let request = GetConversationRequest {
        conversation_id: id.to_owned(),
    };
    Ok(service
        .of(person)
        .get_conversation(request)
        .await?
        .into_inner()
        .conversation
        .unwrap())
}

on_both!(c1_a_portal_conversation_is_the_same_for_both_parties);
async fn c1_a_portal_conversation_is_the_same_for_both_parties(column: Column) {
    let service = Service::start(column, "c1").await;
    let message = service.start_portal().await;
    assert_eq!(
        (message.sequence, message.sender.as_str(), message.unread),
        (1, NURSE, false)
    );

    let for_nurse = get(&service, NURSE, &message.conversation_id).await.unwrap();
    let for_guardian = get(&service, GUARDIAN, &message.conversation_id).await.unwrap();
    assert_eq!(for_nurse.kind(), ConversationKind::Portal);
    assert_eq!((for_nurse.unread_count, for_guardian.unread_count), (0, 1));
    assert_eq!(
        Conversation {
            unread_count: 0,
            ..for_guardian.clone()
        },
        for_nurse
    );
    assert_eq!(for_guardian.regarding.unwrap().patient_name, "Patient of chart-1");
    let people: Vec<_> = for_guardian
        .participants
        .iter()
        .map(|party| party.person.as_str())
        .collect();
    assert_eq!(people, [GUARDIAN, NURSE]);
    assert_eq!(for_guardian.participants[1].display_name, "Name of staff/nurse");
}

on_both!(c4_a_reply_goes_to_everybody_and_messages_come_oldest_first);
async fn c4_a_reply_goes_to_everybody_and_messages_come_oldest_first(column: Column) {
    let service = Service::start(column, "c4").await;
    let first = service.start_staff().await;
    for person in [DOCTOR, CLERK, NURSE] {
        service
            .of(person)
            .reply(reply_to(&first.conversation_id))
            .await
            .unwrap();
    }
    for (person, unread) in [(NURSE, 2), (DOCTOR, 3), (CLERK, 3)] {
        assert_eq!(service.badge(person).await, unread, "{person}");
    }
    let request = ListMessagesRequest {
        conversation_id: first.conversation_id.clone(),
        ..Default::default()
    };
    let messages = service
        .of(DOCTOR)
        .list_messages(request)
        .await
        .unwrap()
        .into_inner()
        .messages;
    let seen: Vec<_> = messages
        .iter()
        .map(|m| (m.sequence, m.sender.as_str(), m.unread))
        .collect();
    assert_eq!(
        seen,
        [(1, NURSE, true), (2, DOCTOR, false), (3, CLERK, true), (4, NURSE, true)]
    );
}

on_both!(c5_the_conversation_of_others_reads_like_none);
async fn c5_the_conversation_of_others_reads_like_none(column: Column) {
    let service = Service::start(column, "c5").await;
    let message = service.start_portal().await;
    let none = "00000000-0000-7000-8000-000000000000".to_owned();
    let strangers = [
        service.of(DOCTOR),
        service.of("portal/other"),
        service.of_organization("prairie", NURSE),
    ];
    for stranger in strangers {
        for conversation_id in [message.conversation_id.clone(), none.clone()] {
            let request = GetConversationRequest {
                conversation_id: conversation_id.clone(),
            };
            let get = stranger.clone().get_conversation(request).await.unwrap_err();
            let request = ListMessagesRequest {
                conversation_id: conversation_id.clone(),
                ..Default::default()
            };
            let list = stranger.clone().list_messages(request).await.unwrap_err();
            let reply = stranger.clone().reply(reply_to(&conversation_id)).await.unwrap_err();
            let read = crate::support::read_up_to(&conversation_id, 1);
            let read = stranger.clone().mark_read(read).await.unwrap_err();
            for status in [get, list, reply, read] {
                assert_eq!(
                    (status.code(), status.message()),
                    (Code::NotFound, "there is no such conversation")
                );
                assert_eq!(reason(&status), "NOT_FOUND");
            }
        }
        let list = stranger
            .clone()
            .list_conversations(ListConversationsRequest::default())
            .await
            .unwrap();
        assert!(list.into_inner().conversations.is_empty());
    }
    assert_eq!(
        service.eligibility.asked(),
        1,
        "nobody asks about a conversation that is not theirs"
    );
}

on_both!(lists_go_on_page_by_page_newest_activity_first);
async fn lists_go_on_page_by_page_newest_activity_first(column: Column) {
    let service = Service::start(column, "pages").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(service.start_portal().await.conversation_id);
    }
    service.of(GUARDIAN).reply(reply_to(&ids[1])).await.unwrap();
    let expected: Vec<_> = [1, 4, 3, 2, 0].map(|place: usize| ids[place].clone()).into();

    let mut seen = Vec::new();
    let mut request = ListConversationsRequest {
        page_size: 2,
        ..Default::default()
    };
    loop {
        let page = service
            .of(GUARDIAN)
            .list_conversations(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert_eq!(page.mailbox.unwrap().unread_count, 5);
        seen.extend(page.conversations.into_iter().map(|conversation| conversation.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(seen, expected);

    let refused = service.of(NURSE).list_conversations(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), fields(&refused)),
        (Code::InvalidArgument, vec!["page_token".to_owned()])
    );
}

on_both!(messages_go_on_page_by_page_and_from_a_sequence);
async fn messages_go_on_page_by_page_and_from_a_sequence(column: Column) {
    let service = Service::start(column, "messages").await;
    let id = service.start_portal().await.conversation_id;
    for _ in 0..4 {
        service.of(GUARDIAN).reply(reply_to(&id)).await.unwrap();
    }
    let request = ListMessagesRequest {
        conversation_id: id,
        page_size: 2,
        after_sequence: 1,
        ..Default::default()
    };
    let first = service
        .of(NURSE)
        .list_messages(request.clone())
        .await
        .unwrap()
        .into_inner();
    let second = ListMessagesRequest {
        page_token: first.next_page_token,
        ..request
    };
    let second = service.of(NURSE).list_messages(second).await.unwrap().into_inner();
    let sequences = |messages: &[carepost_proto::messaging::v1::Message]| -> Vec<i64> {
        messages.iter().map(|message| message.sequence).collect()
    };
    assert_eq!(
        (sequences(&first.messages), sequences(&second.messages)),
        (vec![2, 3], vec![4, 5])
    );
    assert_eq!(second.next_page_token, "");
}

on_both!(r2_recipients_are_those_of_eligibility);
async fn r2_recipients_are_those_of_eligibility(column: Column) {
    let service = Service::start(column, "r2").await;
    let request = ListRecipientsRequest {
        kind: ConversationKind::Portal.into(),
        chart_id: Some("chart-1".to_owned()),
        ..Default::default()
    };
    let page = service
        .of(NURSE)
        .list_recipients(request.clone())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.recipients[0].person, GUARDIAN);
    assert_eq!(page.recipients[0].relationship(), Relationship::Guardian);
    let foreign = ListRecipientsRequest {
        page_token: "foreign".to_owned(),
        ..request.clone()
    };
    assert_eq!(
        fields(&service.of(NURSE).list_recipients(foreign).await.unwrap_err()),
        ["page_token"]
    );
    let chartless = ListRecipientsRequest {
        chart_id: None,
        ..request.clone()
    };
    assert_eq!(
        fields(&service.of(GUARDIAN).list_recipients(chartless).await.unwrap_err()),
        ["chart_id"]
    );
    let staff = ListRecipientsRequest {
        kind: ConversationKind::Staff.into(),
        ..request
    };
    assert_eq!(
        fields(&service.of(GUARDIAN).list_recipients(staff).await.unwrap_err()),
        ["kind"]
    );
}

on_both!(text_comes_back_as_it_was_written);
async fn text_comes_back_as_it_was_written(column: Column) {
    let service = Service::start(column, "text").await;
    let body = "Line one\r\nline two\t\u{1F9D1}\u{200D}\u{2695}\u{FE0F} ' \" \\ % _ <b>שלום</b>";
    let request = carepost_proto::messaging::v1::StartConversationRequest {
        request_id: request_id(),
        body: body.to_owned(),
        ..portal_start()
    };
    let message = service
        .of(NURSE)
        .start_conversation(request)
        .await
        .unwrap()
        .into_inner()
        .message
        .unwrap();
    let request = ListMessagesRequest {
        conversation_id: message.conversation_id,
        ..Default::default()
    };
    let read = service
        .of(GUARDIAN)
        .list_messages(request)
        .await
        .unwrap()
        .into_inner()
        .messages;
    assert_eq!(read[0].body, body.replace("\r\n", "\n"));
}
