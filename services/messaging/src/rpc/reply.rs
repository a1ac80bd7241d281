//! `Reply`: one more message, to all other participants (C4), if the sender still may (C6).

use carepost_audit::Subject;
use carepost_proto::messaging::v1::{ReplyRequest, ReplyResponse};
use carepost_rpc::{
    Violations,
    status::{internal, not_found},
};
use tonic::Status;
use uuid::Uuid;

use super::{
    Call, Messaging, convert,
    replay::{self, Before},
    status,
};
use crate::{
    domain::{Answered, Body, Limits, Thread, told_to_who_replies},
    eligibility::Doing,
    store::{RequestKey, StoreError},
};

pub(super) async fn handle(messaging: &Messaging, call: Call, request: ReplyRequest) -> Result<ReplyResponse, Status> {
    let (conversation, body) = parse(&request, messaging.limits)?;
    call.caller.occasion.note(Subject::conversation(conversation));
    let key = replay::key("Reply", &request.request_id, &request);
    let answered = match messaging.before(&call, key, Some(conversation)).await? {
        Before::Answered(answered) => answered,
        Before::New(None) => return Err(not_found("conversation")),
        Before::New(Some(thread)) => send(messaging, &call, key, &thread, body.clone()).await?,
    };
    let message = replay::sent_message(&call, &answered, &body);
    let message = message.ok_or_else(|| internal(&StoreError::Corrupt("request")))?;
    Ok(ReplyResponse {
        message: Some(convert::message(message)),
        mailbox: Some(convert::mailbox(answered.mailbox)),
    })
}

fn parse(request: &ReplyRequest, limits: Limits) -> Result<(Uuid, Body), Status> {
    let mut violations = Violations::default();
    violations.request_id(&request.request_id);
    let conversation = violations.uuid("conversation_id", &request.conversation_id);
    let body = violations.take("body", Body::parse(&request.body, limits));
    violations.finish(conversation.zip(body))
}

async fn send(
    messaging: &Messaging,
    call: &Call,
    key: RequestKey<'_>,
    thread: &Thread,
    body: Body,
) -> Result<Answered, Status> {
    let organization = &call.caller.organization;
    call.caller.occasion.note_all(thread.chart.as_ref().map(Subject::chart));
    let parties = thread.parties(&call.person);
    let parties = parties.ok_or_else(|| internal(&StoreError::Corrupt("participant")))?;
    let checked = messaging
        .eligibility
        .check(organization, call.deadline, Doing::Reply, &parties)
        .await;
    let decision = checked.map_err(|error| status::of_no_decision(&error))?;
    if !decision.denials.is_empty() {
        return Err(status::of_denials(told_to_who_replies(&parties, &decision)));
    }
    let made = messaging.made();
    let message = thread.reply(organization, call.person.clone(), body, made);
    let done = messaging
        .store
        .reply(call.write(made.now), key, thread.id, message)
        .await;
    let answered = messaging
        .after(call, key, done, |sent| replay::of_send(thread.id, made.message, sent))
        .await?;
    messaging.outbox.notify_one();
    Ok(answered)
}
