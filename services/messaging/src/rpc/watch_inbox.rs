//! `WatchInbox`: the badge and what changes, live (I7).

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use carepost_proto::{
    common::v1::ErrorReason,
    messaging::v1::{
        ConversationChanged, Heartbeat, InboxOpened, ReplyAbilityMayHaveChanged, WatchInboxRequest, WatchInboxResponse,
        watch_inbox_response::Event as Told,
    },
};
use carepost_rpc::{
    Violations,
    deadline::Deadline,
    status::{deadline_exceeded, internal, overloaded, refusal, retry_later, retry_later_with, unavailable},
};
use tokio_stream::Stream;
use tonic::Status;

use super::{Call, Messaging, convert, status};
use crate::watch::{End, Event, Full, Notice, Notices, Opening, Unopened};

/// How long a client whose watch ended should wait before it resumes.
const RETRY: Duration = Duration::from_secs(1);
/// How long one who has too many watches should.
const FULL: Duration = Duration::from_secs(30);

/// The answers of one watch.
pub struct Answers(Notices);

impl Stream for Answers {
    type Item = Result<WatchInboxResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let next = Pin::new(&mut self.0).poll_next(context);
        next.map(|next| next.map(|told| told.map(answer).map_err(|end| ended(&end))))
    }
}

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    asked: Option<Deadline>,
    request: WatchInboxRequest,
) -> Result<Answers, Status> {
    if request.after_position.is_some_and(|position| position < 0) {
        return Err(wrong_position("must not be negative"));
    }
    let opening = Opening {
        mailbox: (call.caller.organization, call.person),
        after: request.after_position,
        expires: call.caller.expires,
        span: asked.map(|deadline| deadline.remaining()),
        occasion: call.caller.occasion,
    };
    let opened = messaging.watches.open(opening).await;
    opened.map(Answers).map_err(|unopened| refused(&unopened))
}

fn answer(notice: Notice) -> WatchInboxResponse {
    let event = match notice.event {
        Event::Opened => Told::Opened(InboxOpened {}),
        Event::Changed(conversation) => Told::ConversationChanged(ConversationChanged {
            conversation: Some(convert::conversation(*conversation)),
        }),
        Event::AbilitiesMayHaveChanged => Told::ReplyAbilityMayHaveChanged(ReplyAbilityMayHaveChanged {}),
        Event::Heartbeat => Told::Heartbeat(Heartbeat {}),
    };
    WatchInboxResponse {
        position: notice.position,
        mailbox: Some(convert::mailbox(notice.mailbox)),
        event: Some(event),
    }
}

fn wrong_position(what: &str) -> Status {
    let mut violations = Violations::default();
    violations.add("after_position", what);
    carepost_rpc::status::invalid_fields(violations.into_inner())
}

fn refused(unopened: &Unopened) -> Status {
    match unopened {
        Unopened::Full(Full::Process) => overloaded(FULL),
        Unopened::Full(Full::Person(limit)) => {
            let metadata = [("limit", limit.to_string())];
            let message = "this person has as many watches at this server as are allowed";
            retry_later_with(ErrorReason::TooManyWatches, message, &metadata, FULL)
        }
        Unopened::Ahead => wrong_position("is ahead of the mailbox: begin anew, without a position"),
        Unopened::Store(error) => status::of_store(error),
    }
}

fn ended(end: &End) -> Status {
    match end {
        End::Stopping => {
            let metadata = [("dependency", "messaging".to_owned())];
            let message = "this server stops: resume from the last position";
            retry_later_with(ErrorReason::DependencyUnavailable, message, &metadata, RETRY)
        }
        End::TokenExpired => refusal(ErrorReason::TokenExpired, "the token has expired"),
        End::Deadline => deadline_exceeded(),
        End::SlowReader => {
            let message = "the reader was too slow: resume from the last position";
            retry_later(ErrorReason::SlowReader, message, RETRY)
        }
        End::Overloaded => overloaded(RETRY),
        End::Silence | End::PutBack => unavailable("database", RETRY),
        End::Store(error) => status::of_store(error),
        End::Broken => internal(end),
        End::Gone => Status::cancelled("the reader is gone"),
    }
}
