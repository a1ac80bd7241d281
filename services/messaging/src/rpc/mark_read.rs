//! `MarkRead`: up to the last message that the person saw, forward only (I1, I4).

use carepost_proto::messaging::v1::{MarkReadRequest, MarkReadResponse};
use carepost_rpc::{Violations, status::not_found};
use tonic::Status;
use uuid::Uuid;

use super::{
    Call, Messaging, convert,
    replay::{self, Before},
};

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: MarkReadRequest,
) -> Result<MarkReadResponse, Status> {
    let conversation = parse(&request)?;
    let key = replay::key("MarkRead", &request.request_id, &request);
    let answered = match messaging.before(&call, key, Some(conversation)).await? {
        Before::Answered(answered) => answered,
        Before::New(None) => return Err(not_found("conversation")),
        Before::New(Some(thread)) => {
            refuse_unreached(request.last_seen_sequence, thread.last_sequence)?;
            let write = call.write(messaging.clock.now());
            let last_seen = request.last_seen_sequence;
            let done = messaging
                .store
                .mark_read(write, key, &call.person, conversation, last_seen)
                .await;
            messaging.after(&call, key, done, |answered| answered).await?
        }
    };
    Ok(MarkReadResponse {
        unread_count: answered.conversation_unread,
        mailbox: Some(convert::mailbox(answered.mailbox)),
    })
}

fn parse(request: &MarkReadRequest) -> Result<Uuid, Status> {
    let mut violations = Violations::default();
    violations.request_id(&request.request_id);
    let conversation = violations.uuid("conversation_id", &request.conversation_id);
    if request.last_seen_sequence < 1 {
        violations.add("last_seen_sequence", "must be at least 1");
    }
    violations.finish(conversation)
}

/// Nobody has seen a message that does not exist yet: it must not become read unseen.
fn refuse_unreached(last_seen: i64, last: i64) -> Result<(), Status> {
    let mut violations = Violations::default();
    if last_seen > last {
        violations.add("last_seen_sequence", "the conversation has no such message yet");
    }
    violations.finish(Some(()))
}
