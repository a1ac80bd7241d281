//! Requests with an id (AIP-155): carried out once, answered the same each time.

use sha2::{Digest as _, Sha256};
use tonic::Status;
use uuid::Uuid;

use super::{Call, Messaging, status};
use crate::{
    domain::{Answered, Body, Message, Thread},
    store::{Opened, RequestKey, Sent, StoreError},
};

/// By which this request is known again. The digest is of all that was asked, encoded as this version of the proto does.
pub(super) fn key<'a>(rpc: &'static str, request_id: &'a str, request: &impl prost::Message) -> RequestKey<'a> {
    RequestKey {
        rpc,
        id: request_id,
        digest: Sha256::digest(request.encode_to_vec()).into(),
    }
}

/// What the read before a change says.
pub(super) enum Before {
    /// Answer this; nothing is to be done.
    Answered(Answered),
    /// Go on.
    New(Option<Thread>),
}

impl Messaging {
    /// The read before a change. It comes before anything else is asked or checked.
    pub(super) async fn before(
        &self,
        call: &Call,
        request: RequestKey<'_>,
        conversation: Option<Uuid>,
    ) -> Result<Before, Status> {
        let opened = self
            .store
            .open(&call.caller.organization, &call.person, request, conversation)
            .await;
        match opened.map_err(|error| status::of_store(&error))? {
            Opened::Known(answered) => Ok(Before::Answered(answered)),
            Opened::Reused => Err(status::reused()),
            Opened::New(thread) => Ok(Before::New(thread)),
        }
    }

    /// The answer after a change. Of two that do the same at once, the one that comes second rereads and answers the same: also
    /// where it would be refused, since what the first one did may be the reason, or what came after it.
    pub(super) async fn after<T>(
        &self,
        call: &Call,
        request: RequestKey<'_>,
        done: Result<T, StoreError>,
        answer: impl FnOnce(T) -> Answered,
    ) -> Result<Answered, Status> {
        match done {
            Ok(done) => Ok(answer(done)),
            Err(error @ (StoreError::KnownRequest | StoreError::NewerMessage(_))) => {
                match self.before(call, request, None).await? {
                    Before::Answered(answered) => Ok(answered),
                    Before::New(_) => Err(status::of_store(&error)),
                }
            }
            Err(error) => Err(status::of_store(&error)),
        }
    }
}

/// The answer to a send.
pub(super) fn of_send(conversation: Uuid, message: Uuid, sent: Sent) -> Answered {
    Answered {
        conversation,
        message: Some(message),
        sequence: sent.sequence,
        // A send marks nothing, and its answer does not tell it.
        conversation_unread: 0,
        mailbox: sent.mailbox,
        at: sent.at,
    }
}

/// The message of an answered send. What it says is what was asked: a request with other content is refused.
pub(super) fn sent_message(call: &Call, answered: &Answered, body: &Body) -> Option<Message> {
    Some(Message {
        id: answered.message?,
        conversation: answered.conversation,
        sequence: answered.sequence,
        sender: call.person.clone(),
        body: body.as_str().to_owned(),
        sent_at: answered.at,
        unread: false,
    })
}
