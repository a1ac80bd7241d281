//! What `MarkRead`, `MarkUnread`, `ArchiveConversation` and `UnarchiveConversation` have in common: each changes the caller's
//! own side of a conversation.

use carepost_audit::Subject;
use carepost_rpc::{Violations, status::not_found};
use tonic::Status;
use uuid::Uuid;

use super::{Call, Messaging, replay::Before};
use crate::{
    domain::{Answered, Mark},
    store::{Marking, RequestKey},
};

/// The conversation that a request is about, and the sequence that it names.
pub(super) fn parse(
    request_id: &str,
    conversation_id: &str,
    (field, sequence): (&'static str, i64),
) -> Result<Uuid, Status> {
    let mut violations = Violations::default();
    violations.request_id(request_id);
    let conversation = violations.uuid("conversation_id", conversation_id);
    if sequence < 1 {
        violations.add(field, "must be at least 1");
    }
    violations.finish(conversation)
}

impl Messaging {
    /// Carries a mark out once, and answers the same each time. `field` names the sequence in the request.
    pub(super) async fn mark(
        &self,
        call: &Call,
        key: RequestKey<'_>,
        conversation: Uuid,
        (field, mark): (&'static str, Mark),
    ) -> Result<Answered, Status> {
        call.caller.occasion.note(Subject::conversation(conversation));
        match self.before(call, key, Some(conversation)).await? {
            Before::Answered(answered) => Ok(answered),
            Before::New(None) => Err(not_found("conversation")),
            Before::New(Some(thread)) => {
                refuse_unreached(field, mark.sequence(), thread.last_sequence)?;
                let now = self.clock.now();
                let marking = Marking {
                    conversation,
                    mark,
                    event: self.ids.next(now),
                };
                let done = self.store.mark(call.write(now), key, &call.person, marking).await;
                let answered = self.after(call, key, done, |answered| answered).await?;
                self.outbox.notify_one();
                Ok(answered)
            }
        }
    }
}

/// Nobody has seen a message that does not exist yet: it must not become read unseen.
fn refuse_unreached(field: &'static str, sequence: i64, last: i64) -> Result<(), Status> {
    let mut violations = Violations::default();
    if sequence > last {
        violations.add(field, "the conversation has no such message yet");
    }
    violations.finish(Some(()))
}
