//! Read marks and folders among others who do things at the same time, and requests that come twice (I1, I3, I7).

use std::time::Duration;

use carepost_proto::messaging::v1::{
    ArchiveConversationRequest, Folder, MarkUnreadRequest, WatchInboxRequest, watch_inbox_response::Event,
};
use tokio::time::timeout;
use tonic::Code;

use crate::{
    folders::{archive, folder, unarchive, unread_from},
    recount::assert_counts,
    support::{Column, GUARDIAN, NURSE, Plan, Service, on_both, read_up_to, reason, reply_to},
};

on_both!(i1_an_archive_and_a_message_at_once_hide_nothing);
async fn i1_an_archive_and_a_message_at_once_hide_nothing(column: Column) {
    let service = Service::start(column, "at-once").await;
    let id = service.start_portal().await.conversation_id;
    for last in 1..=40 {
        let (mut guardian, mut nurse) = (service.of(GUARDIAN), service.of(NURSE));
        let (archived, sent) = tokio::join!(
            guardian.archive_conversation(archive(&id, last)),
            nurse.reply(reply_to(&id))
        );
        sent.unwrap();
        if let Err(refused) = archived {
            assert_eq!(reason(&refused), "NEWER_MESSAGE");
        }
        let opened = service.open(GUARDIAN, &id).await;
        assert_eq!(
            (opened.folder(), opened.unread_count),
            (Folder::Active, last + 1),
            "whoever came first"
        );
        assert_eq!(service.badge(GUARDIAN).await, last + 1);
    }
    assert_counts(&service).await;
}

on_both!(the_same_archive_many_times_at_once_has_one_answer);
async fn the_same_archive_many_times_at_once_has_one_answer(column: Column) {
    let service = Service::start(column, "archives").await;
    let id = service.start_portal().await.conversation_id;
    for last in 1..=12 {
        let request = archive(&id, last);
        let tries = (0..8).map(|_| {
            let (mut guardian, request) = (service.of(GUARDIAN), request.clone());
            async move { guardian.archive_conversation(request).await }
        });
        let mut nurse = service.of(NURSE);
        let (answers, sent) = tokio::join!(futures::future::join_all(tries), nurse.reply(reply_to(&id)));
        sent.unwrap();
        let answers: Vec<_> = answers
            .into_iter()
            .map(|answer| {
                answer
                    .map(tonic::Response::into_inner)
                    .map_err(|refused| refused.code())
            })
            .collect();
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
        assert!(matches!(answers[0], Ok(_) | Err(Code::Aborted)));
    }
    assert_counts(&service).await;
}

on_both!(a_repeated_mark_gets_the_first_answer_again_and_does_nothing);
async fn a_repeated_mark_gets_the_first_answer_again_and_does_nothing(column: Column) {
    let service = Service::start(column, "marks").await;
    let id = service.start_portal().await.conversation_id;
    let mut guardian = service.of(GUARDIAN);
    let (read, unread) = (read_up_to(&id, 1), unread_from(&id, 1));
    let (away, back) = (archive(&id, 1), unarchive(&id));
    let first = (
        guardian.mark_read(read.clone()).await.unwrap().into_inner(),
        guardian.mark_unread(unread.clone()).await.unwrap().into_inner(),
        guardian.archive_conversation(away.clone()).await.unwrap().into_inner(),
        guardian
            .unarchive_conversation(back.clone())
            .await
            .unwrap()
            .into_inner(),
    );
    let revisions = [first.0.mailbox, first.1.mailbox, first.2.mailbox, first.3.mailbox];
    let revisions = revisions.map(|mailbox| mailbox.unwrap().revision);
    assert!(revisions.is_sorted_by(|one, other| other - one == 1), "{revisions:?}");

    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    let before = service.mailbox(GUARDIAN).await;
    let again = (
        guardian.mark_read(read).await.unwrap().into_inner(),
        guardian.mark_unread(unread.clone()).await.unwrap().into_inner(),
        guardian.archive_conversation(away.clone()).await.unwrap().into_inner(),
        guardian.unarchive_conversation(back).await.unwrap().into_inner(),
    );
    assert_eq!(again, first);
    assert_eq!(service.mailbox(GUARDIAN).await, before);

    let other_unread = MarkUnreadRequest {
        from_sequence: 2,
        ..unread
    };
    let other_archive = ArchiveConversationRequest {
        last_seen_sequence: 2,
        ..away
    };
    for refused in [
        guardian.mark_unread(other_unread).await.unwrap_err(),
        guardian.archive_conversation(other_archive).await.unwrap_err(),
    ] {
        assert_eq!(reason(&refused), "REQUEST_ID_REUSED");
    }
}

on_both!(what_is_so_already_is_remembered_without_a_revision);
async fn what_is_so_already_is_remembered_without_a_revision(column: Column) {
    let service = Service::start(column, "already").await;
    let id = service.start_portal().await.conversation_id;
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    let mut guardian = service.of(GUARDIAN);
    let others = service.mailbox(NURSE).await;
    let before = Some(service.mailbox(GUARDIAN).await);
    let back = guardian.unarchive_conversation(unarchive(&id)).await.unwrap();
    assert_eq!(back.into_inner().mailbox, before, "it is active");
    let unread = guardian.mark_unread(unread_from(&id, 1)).await.unwrap();
    assert_eq!(unread.into_inner().mailbox, before, "it is unread");
    guardian.archive_conversation(archive(&id, 2)).await.unwrap();

    // A device that has not seen the newest message hides nothing: another one that had seen it put it away.
    let late = archive(&id, 1);
    let archived = Some(service.mailbox(GUARDIAN).await);
    let first = guardian.archive_conversation(late.clone()).await.unwrap().into_inner();
    assert_eq!(first.mailbox, archived);
    guardian.unarchive_conversation(unarchive(&id)).await.unwrap();
    let again = guardian.archive_conversation(late).await.unwrap().into_inner();
    assert_eq!(again, first);
    assert_eq!(folder(&service, GUARDIAN, Folder::Active, false).await.len(), 1);
    assert_eq!(
        service.mailbox(NURSE).await,
        others,
        "the other participant notices nothing"
    );
}

on_both!(i7_another_device_hears_of_every_mark_at_once);
async fn i7_another_device_hears_of_every_mark_at_once(column: Column) {
    let plan = Plan {
        settings: "[watch]\nheartbeat_ms = 60000\n".to_owned(),
        ..Plan::default()
    };
    let service = Service::start_as(column, "devices", plan).await;
    let id = service.start_portal().await.conversation_id;
    let watching = service.of(GUARDIAN).watch_inbox(WatchInboxRequest::default()).await;
    let mut watch = watching.unwrap().into_inner();
    for mark in 0..4 {
        let mut guardian = service.of(GUARDIAN);
        match mark {
            0 => drop(guardian.mark_read(read_up_to(&id, 1)).await.unwrap()),
            1 => drop(guardian.mark_unread(unread_from(&id, 1)).await.unwrap()),
            2 => drop(guardian.archive_conversation(archive(&id, 1)).await.unwrap()),
            _ => drop(guardian.unarchive_conversation(unarchive(&id)).await.unwrap()),
        }
        let mailbox = service.mailbox(GUARDIAN).await;
        let mut expected = service.open(GUARDIAN, &id).await;
        expected.reply_ability = None;
        loop {
            let told = timeout(Duration::from_secs(10), watch.message()).await;
            let told = told.unwrap().unwrap().unwrap();
            if told.position < mailbox.revision {
                continue;
            }
            let Some(Event::ConversationChanged(changed)) = told.event else {
                continue;
            };
            assert_eq!((told.position, told.mailbox), (mailbox.revision, Some(mailbox)));
            assert_eq!(changed.conversation, Some(expected));
            break;
        }
    }
}
