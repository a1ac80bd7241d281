//! Requests with an id: carried out once.

use carepost_proto::messaging::v1::{ListMessagesRequest, ReplyRequest};
use tonic::Code;

use crate::support::{
    Column, DOCTOR, GUARDIAN, NURSE, Says, Service, on_both, portal_start, read_up_to, reason, reply_to, retry_delay,
};

on_both!(a_repeated_request_gets_the_first_answer_again);
async fn a_repeated_request_gets_the_first_answer_again(column: Column) {
    let service = Service::start(column, "replay").await;
    let start = portal_start();
    let started = service
        .of(NURSE)
        .start_conversation(start.clone())
        .await
        .unwrap()
        .into_inner();
    let id = started.conversation_id.clone();
    let reply = reply_to(&id);
    let replied = service.of(GUARDIAN).reply(reply.clone()).await.unwrap().into_inner();
    let read = read_up_to(&id, 1);
    let marked = service.of(GUARDIAN).mark_read(read.clone()).await.unwrap().into_inner();

    // Much happens meanwhile, and nobody can be asked any more.
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    service.eligibility.says(Says::Nothing);
    assert_eq!(
        service.of(NURSE).start_conversation(start).await.unwrap().into_inner(),
        started
    );
    assert_eq!(service.of(GUARDIAN).reply(reply).await.unwrap().into_inner(), replied);
    assert_eq!(service.of(GUARDIAN).mark_read(read).await.unwrap().into_inner(), marked);
    assert_eq!(service.badge(GUARDIAN).await, 1);
}

on_both!(a_request_id_with_other_content_is_refused);
async fn a_request_id_with_other_content_is_refused(column: Column) {
    let service = Service::start(column, "reused").await;
    let id = service.start_portal().await.conversation_id;
    let reply = reply_to(&id);
    service.of(GUARDIAN).reply(reply.clone()).await.unwrap();
    let other = ReplyRequest {
        body: "Something else.".to_owned(),
        ..reply.clone()
    };
    let refused = service.of(GUARDIAN).reply(other).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::AlreadyExists, "REQUEST_ID_REUSED")
    );
    // Somebody else's request is another one.
    let others = service.of(NURSE).reply(reply).await.unwrap().into_inner();
    assert_eq!(others.message.unwrap().sequence, 3);
}

on_both!(the_same_request_many_times_at_once_is_carried_out_once);
async fn the_same_request_many_times_at_once_is_carried_out_once(column: Column) {
    let service = Service::start(column, "twice").await;
    let id = service.start_staff().await.conversation_id;
    let request = reply_to(&id);
    let tries = (0..16).map(|_| {
        let (mut person, request) = (service.of(DOCTOR), request.clone());
        async move { person.reply(request).await.unwrap().into_inner() }
    });
    let answers = futures::future::join_all(tries).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0].message.as_ref().unwrap().sequence, 2);

    let start = portal_start();
    let tries = (0..16).map(|_| {
        let (mut person, request) = (service.of(NURSE), start.clone());
        async move { person.start_conversation(request).await.unwrap().into_inner() }
    });
    let answers = futures::future::join_all(tries).await;
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(service.badge(GUARDIAN).await, 1);
}

on_both!(without_eligibility_nothing_is_sent_and_reading_goes_on);
async fn without_eligibility_nothing_is_sent_and_reading_goes_on(column: Column) {
    let service = Service::start(column, "outage").await;
    let id = service.start_portal().await.conversation_id;
    service.eligibility.says(Says::Nothing);
    let reply = reply_to(&id);
    for refused in [
        service.of(NURSE).start_conversation(portal_start()).await.unwrap_err(),
        service.of(GUARDIAN).reply(reply.clone()).await.unwrap_err(),
    ] {
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "DEPENDENCY_UNAVAILABLE")
        );
        assert!(retry_delay(&refused).is_some());
    }
    let request = ListMessagesRequest {
        conversation_id: id.clone(),
        ..Default::default()
    };
    assert_eq!(
        service
            .of(GUARDIAN)
            .list_messages(request)
            .await
            .unwrap()
            .into_inner()
            .messages
            .len(),
        1
    );
    assert_eq!((service.badge(GUARDIAN).await, service.badge(NURSE).await), (1, 0));
    service.of(GUARDIAN).mark_read(read_up_to(&id, 1)).await.unwrap();
    // A refusal is not recorded: the same request goes well later.
    service.eligibility.says(Says::Yes);
    service.of(GUARDIAN).reply(reply).await.unwrap();
}
