//! The badge and what is read (I3, I4), alone and among many at once.

use std::collections::BTreeSet;

use carepost_proto::messaging::v1::ListMessagesRequest;
use futures::{StreamExt, stream};
use tonic::Code;

use crate::support::{CLERK, Column, DOCTOR, GUARDIAN, NURSE, Service, fields, on_both, read_up_to, reply_to};

on_both!(i4_mark_read_only_moves_forward);
async fn i4_mark_read_only_moves_forward(column: Column) {
    let service = Service::start(column, "i4").await;
    let id = service.start_portal().await.conversation_id;
    for _ in 0..3 {
        service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    }
    let mut guardian = service.of(GUARDIAN);
    let read = guardian.mark_read(read_up_to(&id, 3)).await.unwrap().into_inner();
    assert_eq!((read.unread_count, read.mailbox.unwrap().unread_count), (1, 1));
    let before = service.mailbox(GUARDIAN).await;
    let back = guardian.mark_read(read_up_to(&id, 1)).await.unwrap().into_inner();
    assert_eq!(
        (back.unread_count, back.mailbox.unwrap()),
        (1, before),
        "nothing changes, so no revision either"
    );
    let all = guardian.mark_read(read_up_to(&id, 4)).await.unwrap().into_inner();
    assert_eq!((all.unread_count, all.mailbox.unwrap().unread_count), (0, 0));
}

on_both!(i4_what_does_not_exist_yet_cannot_be_read);
async fn i4_what_does_not_exist_yet_cannot_be_read(column: Column) {
    let service = Service::start(column, "unseen").await;
    let id = service.start_portal().await.conversation_id;
    let refused = service.of(GUARDIAN).mark_read(read_up_to(&id, 2)).await.unwrap_err();
    assert_eq!(
        (refused.code(), fields(&refused)),
        (Code::InvalidArgument, vec!["last_seen_sequence".to_owned()])
    );
    let refused = service.of(GUARDIAN).mark_read(read_up_to(&id, 0)).await.unwrap_err();
    assert_eq!(fields(&refused), ["last_seen_sequence"]);
    assert_eq!(service.badge(GUARDIAN).await, 1);
}

on_both!(i4_opening_and_replying_mark_nothing_and_own_messages_are_never_unread);
async fn i4_opening_and_replying_mark_nothing_and_own_messages_are_never_unread(column: Column) {
    let service = Service::start(column, "own").await;
    let id = service.start_portal().await.conversation_id;
    let request = ListMessagesRequest {
        conversation_id: id.clone(),
        ..Default::default()
    };
    service.of(GUARDIAN).list_messages(request).await.unwrap();
    let answer = service.of(GUARDIAN).reply(reply_to(&id)).await.unwrap().into_inner();
    assert_eq!(answer.mailbox.unwrap().unread_count, 1);
    assert_eq!((service.badge(GUARDIAN).await, service.badge(NURSE).await), (1, 1));
    let read = service
        .of(NURSE)
        .mark_read(read_up_to(&id, 2))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(read.unread_count, 0);
}

on_both!(every_change_of_a_mailbox_raises_its_revision);
async fn every_change_of_a_mailbox_raises_its_revision(column: Column) {
    let service = Service::start(column, "revision").await;
    let id = service.start_portal().await.conversation_id;
    let mut last = service.mailbox(GUARDIAN).await.revision;
    for _ in 0..3 {
        service.of(NURSE).reply(reply_to(&id)).await.unwrap();
        let revision = service.mailbox(GUARDIAN).await.revision;
        assert!(revision > last);
        last = revision;
    }
    let read = service
        .of(GUARDIAN)
        .mark_read(read_up_to(&id, 2))
        .await
        .unwrap()
        .into_inner();
    assert!(read.mailbox.unwrap().revision > last);
}

on_both!(sixty_four_clients_in_one_conversation_leave_no_gap_and_a_right_badge);
async fn sixty_four_clients_in_one_conversation_leave_no_gap_and_a_right_badge(column: Column) {
    let service = Service::start(column, "crowd").await;
    let id = service.start_staff().await.conversation_id;
    let people = [NURSE, DOCTOR, CLERK];
    let sends = (0..64).map(|client: usize| {
        let mut person = service.of(people[client % 3]);
        let request = reply_to(&id);
        async move {
            person
                .reply(request)
                .await
                .unwrap()
                .into_inner()
                .message
                .unwrap()
                .sequence
        }
    });
    let sequences: BTreeSet<_> = futures::future::join_all(sends).await.into_iter().collect();
    assert_eq!(sequences, (2..=65).collect());
    // 22 by the nurse beside the first one, 21 by each of the others.
    for (person, by_others) in [(NURSE, 42), (DOCTOR, 44), (CLERK, 44)] {
        assert_eq!(service.badge(person).await, by_others, "{person}");
    }
}

on_both!(i3_the_badge_is_right_after_sends_and_reads_at_once);
async fn i3_the_badge_is_right_after_sends_and_reads_at_once(column: Column) {
    let service = Service::start(column, "races").await;
    let ids = [
        service.start_staff().await.conversation_id,
        service.start_staff().await.conversation_id,
    ];
    let people = [NURSE, DOCTOR, CLERK];
    let work = (0..90).map(|turn: usize| {
        let mut person = service.of(people[turn % 3]);
        let id = ids[turn % 2].clone();
        async move {
            let sent = person.reply(reply_to(&id)).await.unwrap().into_inner().message.unwrap();
            if turn.is_multiple_of(4) {
                person.mark_read(read_up_to(&id, sent.sequence)).await.unwrap();
            }
        }
    });
    // More at once would make SQLite, which writes one after the other, refuse some on a slow machine.
    stream::iter(work).buffer_unordered(32).collect::<()>().await;
    for person in people {
        let mut unread = 0;
        for conversation_id in ids.clone() {
            let request = ListMessagesRequest {
                conversation_id,
                page_size: 100,
                ..Default::default()
            };
            let messages = service
                .of(person)
                .list_messages(request)
                .await
                .unwrap()
                .into_inner()
                .messages;
            unread += i64::try_from(messages.iter().filter(|message| message.unread).count()).unwrap();
        }
        assert_eq!(service.badge(person).await, unread, "{person}");
    }
}
