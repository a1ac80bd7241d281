//! Two folders for each participant, unread marks both ways, and lists by folder (I1, I2, I4).

use carepost_proto::messaging::v1::{
    ArchiveConversationRequest, Conversation, Folder, ListConversationsRequest, ListConversationsResponse,
    MarkUnreadRequest, StartConversationRequest, UnarchiveConversationRequest,
};
use tonic::{Code, Status};
use tonic_types::StatusExt as _;

use crate::support::{
    CLERK, Column, DOCTOR, GUARDIAN, NURSE, Service, fields, on_both, portal_start, read_up_to, reason, reply_to,
    request_id,
};

pub fn archive(id: &str, last_seen_sequence: i64) -> ArchiveConversationRequest {
    ArchiveConversationRequest {
        request_id: request_id(),
        conversation_id: id.to_owned(),
        last_seen_sequence,
    }
}

pub fn unarchive(id: &str) -> UnarchiveConversationRequest {
    UnarchiveConversationRequest {
        request_id: request_id(),
        conversation_id: id.to_owned(),
    }
}

pub fn unread_from(id: &str, from_sequence: i64) -> MarkUnreadRequest {
    MarkUnreadRequest {
        request_id: request_id(),
        conversation_id: id.to_owned(),
        from_sequence,
    }
}

/// Everything in a folder, page by page.
pub async fn folder(service: &Service, person: &str, folder: Folder, unread_only: bool) -> Vec<Conversation> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let page = page(service, person, folder, unread_only, 2, page_token).await.unwrap();
        all.extend(page.conversations);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return all;
        }
    }
}

async fn page(
    service: &Service,
    person: &str,
    folder: Folder,
    unread_only: bool,
    page_size: i32,
    page_token: String,
) -> Result<ListConversationsResponse, Status> {
    let request = ListConversationsRequest {
        page_size,
        page_token,
        folder: folder.into(),
        unread_only,
    };
    let answer = service.of(person).list_conversations(request).await?;
    Ok(answer.into_inner())
}

async fn ids(service: &Service, person: &str, of: Folder) -> Vec<String> {
    let conversations = folder(service, person, of, false).await;
    conversations.into_iter().map(|conversation| conversation.id).collect()
}

on_both!(i1_archiving_is_mine_alone_and_takes_the_unread_out_of_my_badge);
async fn i1_archiving_is_mine_alone_and_takes_the_unread_out_of_my_badge(column: Column) {
    let service = Service::start(column, "archive").await;
    let id = service.start_staff().await.conversation_id;
    let archived = service.of(DOCTOR).archive_conversation(archive(&id, 1)).await.unwrap();
    assert_eq!(archived.into_inner().mailbox.unwrap().unread_count, 0);
    assert_eq!(ids(&service, DOCTOR, Folder::Active).await, Vec::<String>::new());
    assert_eq!(ids(&service, DOCTOR, Folder::Archived).await, vec![id.clone()]);
    let opened = service.open(DOCTOR, &id).await;
    assert_eq!((opened.folder(), opened.unread_count), (Folder::Archived, 1));
    for other in [NURSE, CLERK] {
        assert_eq!(ids(&service, other, Folder::Active).await, vec![id.clone()], "{other}");
    }
    let back = service.of(DOCTOR).unarchive_conversation(unarchive(&id)).await.unwrap();
    assert_eq!(back.into_inner().mailbox.unwrap().unread_count, 1);
    assert_eq!(ids(&service, DOCTOR, Folder::Active).await, [id]);
}

on_both!(i1_nothing_unseen_is_ever_hidden);
async fn i1_nothing_unseen_is_ever_hidden(column: Column) {
    let service = Service::start(column, "unseen").await;
    let id = service.start_portal().await.conversation_id;
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    let request = archive(&id, 1);
    let refused = service
        .of(GUARDIAN)
        .archive_conversation(request.clone())
        .await
        .unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::Aborted, "NEWER_MESSAGE")
    );
    let details = refused.get_error_details();
    assert_eq!(details.error_info().unwrap().metadata["last_sequence"], "2");
    assert_eq!(ids(&service, GUARDIAN, Folder::Active).await, vec![id.clone()]);

    // A refusal is not remembered: the same id can be used for what is meant now.
    let seen = ArchiveConversationRequest {
        last_seen_sequence: 2,
        ..request
    };
    service.of(GUARDIAN).archive_conversation(seen.clone()).await.unwrap();
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    // The same request again answers the same, though a newer message came since, and hides nothing.
    let again = service
        .of(GUARDIAN)
        .archive_conversation(seen)
        .await
        .unwrap()
        .into_inner();
    assert_eq!(again.mailbox.unwrap().unread_count, 0);
    assert_eq!(ids(&service, GUARDIAN, Folder::Active).await, [id]);
    assert_eq!(service.badge(GUARDIAN).await, 3);
}

on_both!(i2_a_new_message_and_an_own_reply_bring_it_back);
async fn i2_a_new_message_and_an_own_reply_bring_it_back(column: Column) {
    let service = Service::start(column, "back").await;
    let id = service.start_portal().await.conversation_id;
    service
        .of(GUARDIAN)
        .archive_conversation(archive(&id, 1))
        .await
        .unwrap();
    service.of(NURSE).archive_conversation(archive(&id, 1)).await.unwrap();
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    for (person, unread) in [(GUARDIAN, 2), (NURSE, 0)] {
        assert_eq!(
            ids(&service, person, Folder::Active).await,
            vec![id.clone()],
            "{person}"
        );
        assert_eq!(service.badge(person).await, unread, "{person}");
    }
}

on_both!(i4_mark_unread_only_moves_back_and_never_over_own_messages);
async fn i4_mark_unread_only_moves_back_and_never_over_own_messages(column: Column) {
    let service = Service::start(column, "unread").await;
    let id = service.start_portal().await.conversation_id;
    service.of(GUARDIAN).reply(reply_to(&id)).await.unwrap();
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    let mut guardian = service.of(GUARDIAN);
    guardian.mark_read(read_up_to(&id, 3)).await.unwrap();
    let before = service.mailbox(GUARDIAN).await;
    assert_eq!(before.unread_count, 0);

    let unread = guardian.mark_unread(unread_from(&id, 2)).await.unwrap().into_inner();
    assert_eq!(
        (unread.unread_count, unread.mailbox.unwrap().unread_count),
        (1, 1),
        "2 is their own"
    );
    let again = guardian.mark_unread(unread_from(&id, 3)).await.unwrap().into_inner();
    assert_eq!(
        again.mailbox, unread.mailbox,
        "it is so already: no change, and no revision"
    );
    let all = guardian.mark_unread(unread_from(&id, 1)).await.unwrap().into_inner();
    assert_eq!((all.unread_count, all.mailbox.unwrap().unread_count), (2, 2));
    let opened = service.open(GUARDIAN, &id).await;
    assert_eq!((opened.last_read_sequence, opened.unread_count), (0, 2));
}

on_both!(i1_what_is_archived_can_be_read_and_unread_without_the_badge);
async fn i1_what_is_archived_can_be_read_and_unread_without_the_badge(column: Column) {
    let service = Service::start(column, "aside").await;
    let id = service.start_portal().await.conversation_id;
    let mut guardian = service.of(GUARDIAN);
    guardian.archive_conversation(archive(&id, 1)).await.unwrap();
    let read = guardian.mark_read(read_up_to(&id, 1)).await.unwrap().into_inner();
    assert_eq!((read.unread_count, read.mailbox.unwrap().unread_count), (0, 0));
    let unread = guardian.mark_unread(unread_from(&id, 1)).await.unwrap().into_inner();
    assert_eq!((unread.unread_count, unread.mailbox.unwrap().unread_count), (1, 0));
    let back = guardian
        .unarchive_conversation(unarchive(&id))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(back.mailbox.unwrap().unread_count, 1);
}

on_both!(i1_lists_show_one_folder_with_a_preview);
async fn i1_lists_show_one_folder_with_a_preview(column: Column) {
    let service = Service::start(column, "lists").await;
    let first = service.start_portal().await.conversation_id;
    let second = service.start_portal().await.conversation_id;
    let long = StartConversationRequest {
        body: format!("Zoë\n\n  {}", "ä".repeat(300)),
        ..portal_start()
    };
    let third = service
        .of(NURSE)
        .start_conversation(long)
        .await
        .unwrap()
        .into_inner()
        .conversation_id;
    service.of(GUARDIAN).mark_read(read_up_to(&second, 1)).await.unwrap();
    service
        .of(GUARDIAN)
        .archive_conversation(archive(&first, 1))
        .await
        .unwrap();

    let active = folder(&service, GUARDIAN, Folder::Unspecified, false).await;
    let told: Vec<_> = active.iter().map(|found| found.id.as_str()).collect();
    assert_eq!(
        told,
        [third.as_str(), second.as_str()],
        "unspecified is Active, newest first"
    );
    let preview = active[0].last_message.clone().unwrap();
    assert_eq!(preview.sender, NURSE);
    assert_eq!(preview.text, format!("Zoë {}…", "ä".repeat(135)));
    let unread = folder(&service, GUARDIAN, Folder::Active, true).await;
    assert_eq!(unread.len(), 1);
    assert_eq!((unread[0].id.as_str(), unread[0].unread_count), (third.as_str(), 1));
    assert_eq!(ids(&service, GUARDIAN, Folder::Archived).await, [first]);
}

on_both!(bad_marks_are_refused_and_change_nothing);
async fn bad_marks_are_refused_and_change_nothing(column: Column) {
    let service = Service::start(column, "bad-marks").await;
    let id = service.start_portal().await.conversation_id;
    let before = service.mailbox(GUARDIAN).await;
    let mut guardian = service.of(GUARDIAN);
    for sequence in [0, -1, 2] {
        let refused = guardian.archive_conversation(archive(&id, sequence)).await.unwrap_err();
        assert_eq!(fields(&refused), ["last_seen_sequence"], "{sequence}");
        let refused = guardian.mark_unread(unread_from(&id, sequence)).await.unwrap_err();
        assert_eq!(fields(&refused), ["from_sequence"], "{sequence}");
    }
    let refused = guardian
        .unarchive_conversation(UnarchiveConversationRequest::default())
        .await;
    assert_eq!(fields(&refused.unwrap_err()), ["request_id", "conversation_id"]);
    let request = ListConversationsRequest {
        folder: 7,
        ..Default::default()
    };
    assert_eq!(
        fields(&guardian.list_conversations(request).await.unwrap_err()),
        ["folder"]
    );
    assert_eq!(service.mailbox(GUARDIAN).await, before);

    // What is not mine reads like what does not exist.
    let nowhere = "01a2049f-0656-7fd2-9f55-2289d6781849";
    let mut clerk = service.of(CLERK);
    for conversation in [id.as_str(), nowhere] {
        let refused = [
            clerk.archive_conversation(archive(conversation, 1)).await.unwrap_err(),
            clerk.unarchive_conversation(unarchive(conversation)).await.unwrap_err(),
            clerk.mark_unread(unread_from(conversation, 1)).await.unwrap_err(),
        ];
        for refused in refused {
            let told = (refused.code(), refused.message(), reason(&refused));
            assert_eq!(
                told,
                (Code::NotFound, "there is no such conversation", "NOT_FOUND".to_owned())
            );
        }
    }
}

on_both!(a_page_token_is_good_for_its_folder_alone);
async fn a_page_token_is_good_for_its_folder_alone(column: Column) {
    let service = Service::start(column, "tokens").await;
    for _ in 0..3 {
        service.start_portal().await;
    }
    let token = page(&service, GUARDIAN, Folder::Active, false, 1, String::new()).await;
    let token = token.unwrap().next_page_token;
    for (of, unread_only) in [(Folder::Archived, false), (Folder::Active, true)] {
        let refused = page(&service, GUARDIAN, of, unread_only, 1, token.clone())
            .await
            .unwrap_err();
        assert_eq!(fields(&refused), ["page_token"]);
    }
}
