//! `StartConversation`: a conversation with its first message (C1, C2).

use carepost_audit as audit;
use carepost_identity::{ChartId, PersonId};
use carepost_proto::messaging::v1::{StartConversationRequest, StartConversationResponse};
use carepost_rpc::{Violations, status::internal};
use tonic::Status;

use super::{
    Call, Messaging, convert,
    replay::{self, Before},
    status,
};
use crate::{
    domain::{
        Answered, Body, Decision, Denial, Limits, Parties, Start, Subject, told_to_portal_user,
        told_to_staff_among_staff, told_to_staff_starting,
    },
    eligibility::Doing,
    store::StoreError,
};

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: StartConversationRequest,
) -> Result<StartConversationResponse, Status> {
    let start = parse(&call.person, &request, messaging.limits)?;
    note(&call, &start);
    let key = replay::key("StartConversation", &request.request_id, &request);
    let body = start.body.clone();
    let answered = match messaging.before(&call, key, None).await? {
        Before::Answered(answered) => answered,
        Before::New(_) => {
            let organization = &call.caller.organization;
            let checked = messaging
                .eligibility
                .check(organization, call.deadline, Doing::Start, &start.parties)
                .await;
            let decision = checked.map_err(|error| status::of_no_decision(&error))?;
            refuse_denied(messaging, &call, &start.parties, &decision).await?;
            let made = messaging.made();
            let conversation = start
                .conversation(organization, decision, made)
                .map_err(|error| internal(&error))?;
            let done = messaging.store.start(call.write(made.now), key, conversation).await;
            let answer = |sent| replay::of_send(made.conversation, made.message, sent);
            let answered = messaging.after(&call, key, done, answer).await?;
            messaging.outbox.notify_one();
            answered
        }
    };
    respond(&call, &answered, &body)
}

/// Notes to whom somebody writes, regarding what: also if they may not.
fn note(call: &Call, start: &Start) {
    let everybody = start.parties.everybody();
    let others = everybody.iter().filter(|person| **person != start.sender);
    call.caller.occasion.note_all(others.map(audit::Subject::person));
    call.caller
        .occasion
        .note_all(start.parties.chart().map(audit::Subject::chart));
}

fn parse(sender: &PersonId, request: &StartConversationRequest, limits: Limits) -> Result<Start, Status> {
    let mut violations = Violations::default();
    violations.request_id(&request.request_id);
    // One more than allowed is enough to refuse them all; the rest is not even parsed.
    let recipients = request.recipients.iter().take(limits.recipients + 1).enumerate();
    let recipients: Vec<_> = recipients
        .map(|(place, text)| violations.take(&format!("recipients[{place}]"), PersonId::parse(text)))
        .collect();
    let chart = request
        .chart_id
        .as_ref()
        .map(|id| violations.take("chart_id", ChartId::parse(id)));
    let subject = violations.take("subject", Subject::parse(&request.subject, limits));
    let body = violations.take("body", Body::parse(&request.body, limits));
    // Who the parties are is only asked of ids that are ids.
    let ids = recipients
        .into_iter()
        .collect::<Option<Vec<_>>>()
        .zip(chart.map_or(Some(None), |chart| chart.map(Some)));
    let parties = ids.and_then(|(recipients, chart)| {
        let parties = Parties::parse(sender, &recipients, chart, limits);
        parties
            .map_err(|faults| {
                faults
                    .into_iter()
                    .for_each(|fault| violations.add(fault.field, fault.what))
            })
            .ok()
    });
    let start = match (parties, subject, body) {
        (Some(parties), Some(subject), Some(body)) => Some(Start {
            sender: sender.clone(),
            parties,
            subject,
            body,
        }),
        _ => None,
    };
    violations.finish(start)
}

/// Tells who may not write as much of why as they may know.
async fn refuse_denied(
    messaging: &Messaging,
    call: &Call,
    parties: &Parties,
    decision: &Decision,
) -> Result<(), Status> {
    if decision.denials.is_empty() {
        return Ok(());
    }
    let told = told(messaging, call, parties, decision)
        .await
        .map_err(|error| status::of_store(&error))?;
    Err(status::of_denials(told))
}

async fn told(
    messaging: &Messaging,
    call: &Call,
    parties: &Parties,
    decision: &Decision,
) -> Result<Vec<Denial>, StoreError> {
    match parties {
        Parties::Staff { sender, .. } => Ok(told_to_staff_among_staff(decision, &sender.clone().into())),
        Parties::Portal {
            staff,
            portal_user,
            sent_by_portal_user,
            ..
        } => {
            let (staff, portal_user) = (PersonId::from(staff.clone()), PersonId::from(portal_user.clone()));
            if !sent_by_portal_user {
                return Ok(told_to_staff_starting(decision, &staff, &portal_user));
            }
            let organization = &call.caller.organization;
            let knows_staff = messaging
                .store
                .share_conversation(organization, &portal_user, &staff)
                .await?;
            Ok(told_to_portal_user(decision, &staff, knows_staff))
        }
    }
}

fn respond(call: &Call, answered: &Answered, body: &Body) -> Result<StartConversationResponse, Status> {
    let message = replay::sent_message(call, answered, body);
    let message = message.ok_or_else(|| internal(&StoreError::Corrupt("request")))?;
    Ok(StartConversationResponse {
        conversation_id: answered.conversation.to_string(),
        message: Some(convert::message(message)),
        mailbox: Some(convert::mailbox(answered.mailbox)),
    })
}
