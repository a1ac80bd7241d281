//! `carepost.messaging.v1`: `MessagingService`, and in `operator.rs` `OperatorService`; one file for each RPC.

mod archive_conversation;
mod convert;
mod get_compose_options;
mod get_conversation;
mod get_unread_count;
mod list_conversations;
mod list_messages;
mod list_recipients;
mod list_unanswered;
mod mark;
mod mark_read;
mod mark_unread;
mod operator;
mod replay;
mod reply;
mod reply_ability;
mod search_conversations;
mod start_conversation;
mod status;
mod unarchive_conversation;
mod watch_inbox;

use std::{sync::Arc, time::Duration};

use carepost_identity::PersonId;
use carepost_proto::messaging::v1::{
    ArchiveConversationRequest, ArchiveConversationResponse, GetComposeOptionsRequest, GetComposeOptionsResponse,
    GetConversationRequest, GetConversationResponse, GetUnreadCountRequest, GetUnreadCountResponse,
    ListConversationsRequest, ListConversationsResponse, ListMessagesRequest, ListMessagesResponse,
    ListRecipientsRequest, ListRecipientsResponse, MarkReadRequest, MarkReadResponse, MarkUnreadRequest,
    MarkUnreadResponse, ReplyRequest, ReplyResponse, SearchConversationsRequest, SearchConversationsResponse,
    StartConversationRequest, StartConversationResponse, UnarchiveConversationRequest, UnarchiveConversationResponse,
    WatchInboxRequest, messaging_service_server::MessagingService,
};
use carepost_rpc::{Caller, deadline::Deadline};
use carepost_runtime::{Clock, Ids};
use chrono::{DateTime, Utc};
use tokio::sync::{Notify, Semaphore};
use tonic::{Request, Response, Status, async_trait};

use crate::{
    domain::{Conversation, Limits, Made},
    eligibility::Eligibility,
    inbox::Outdated,
    store::{Store, Write},
    watch::{Hub, shown},
};

/// What the RPCs work with.
#[derive(Clone)]
pub struct Messaging {
    /// Conversations and mailboxes.
    pub store: Store,
    /// Who may write to whom.
    pub eligibility: Eligibility,
    /// The time.
    pub clock: Clock,
    /// Fresh ids.
    pub ids: Ids,
    /// Limits of what is written.
    pub limits: Limits,
    /// How long a search may take.
    pub search_timeout: Duration,
    /// The places of searches at the database.
    pub searches: Arc<Semaphore>,
    /// Watches of mailboxes.
    pub watches: Hub,
    /// Wakes the outbox relay.
    pub outbox: Arc<Notify>,
    /// Takes copies of names that turn out to be old.
    pub outdated: Outdated,
}

/// Who calls, until when.
struct Call {
    caller: Caller,
    person: PersonId,
    deadline: Deadline,
}

impl Call {
    fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = Caller::of(request)?;
        let person = caller.person()?.clone();
        Ok(Self {
            caller,
            person,
            deadline: Deadline::of(request, Duration::from_secs(10)),
        })
    }

    /// Notes for the audit trail that a conversation is shown.
    fn note_shown(&self, conversation: &Conversation) {
        self.caller.occasion.note_all(shown(conversation));
    }

    fn write(&self, now: DateTime<Utc>) -> Write<'_> {
        Write {
            organization: &self.caller.organization,
            actor: &self.caller.actor,
            now,
            occasion: &self.caller.occasion,
        }
    }
}

impl Messaging {
    /// The time and fresh ids, for one send.
    fn made(&self) -> Made {
        let now = self.clock.now();
        Made {
            conversation: self.ids.next(now),
            message: self.ids.next(now),
            event: self.ids.next(now),
            now,
        }
    }
}

/// Each RPC: who calls, then the handler of its file.
macro_rules! rpcs {
    ($($rpc:ident: $request:ty => $response:ty;)*) => {
        #[async_trait]
        impl MessagingService for Messaging {
            $(async fn $rpc(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                let call = Call::of(&request)?;
                $rpc::handle(self, call, request.into_inner()).await.map(Response::new)
            })*
            type WatchInboxStream = watch_inbox::Answers;

            async fn watch_inbox(&self, request: Request<WatchInboxRequest>) -> Result<Response<watch_inbox::Answers>, Status> {
                let (call, asked) = (Call::of(&request)?, Deadline::asked(&request));
                watch_inbox::handle(self, call, asked, request.into_inner()).await.map(Response::new)
            }
        }
    };
}

rpcs! {
    start_conversation: StartConversationRequest => StartConversationResponse;
    reply: ReplyRequest => ReplyResponse;
    get_conversation: GetConversationRequest => GetConversationResponse;
    list_conversations: ListConversationsRequest => ListConversationsResponse;
    list_messages: ListMessagesRequest => ListMessagesResponse;
    mark_read: MarkReadRequest => MarkReadResponse;
    get_unread_count: GetUnreadCountRequest => GetUnreadCountResponse;
    list_recipients: ListRecipientsRequest => ListRecipientsResponse;
    get_compose_options: GetComposeOptionsRequest => GetComposeOptionsResponse;
    search_conversations: SearchConversationsRequest => SearchConversationsResponse;
    mark_unread: MarkUnreadRequest => MarkUnreadResponse;
    archive_conversation: ArchiveConversationRequest => ArchiveConversationResponse;
    unarchive_conversation: UnarchiveConversationRequest => UnarchiveConversationResponse;
}
