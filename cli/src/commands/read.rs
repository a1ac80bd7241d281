//! `carepost read`

use carepost_proto::messaging::v1::MarkReadRequest;
use clap::{Args, value_parser};
use serde_json::json;

use super::{ANYWHERE, conversation};
use crate::{
    args::Me,
    client::{Context, Service, request_id},
    errors::Failure,
    render::{Report, count},
};

/// See `Command::Read`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  carepost read --as staff/9999999896 last\n\n\
    JSON: {conversation_id, unread_count, mailbox: {unread_count, revision}}")]
pub struct ReadArgs {
    #[command(flatten)]
    me: Me,
    /// Id of the conversation, or `last` for the one with the newest message.
    #[arg(value_name = "CONVERSATION")]
    conversation: String,
    /// Only up to this message [default: the newest one].
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(i64).range(1..))]
    up_to: Option<i64>,
    /// Repeat a request that got no answer under its own id.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Marks messages as read.
pub async fn run(context: &Context, args: ReadArgs) -> Result<Report, Failure> {
    let mut messaging = context.messaging(args.me.person.as_ref()).await?;
    let conversation = conversation(context, &mut messaging, &args.conversation, ANYWHERE).await?;
    let request = MarkReadRequest {
        request_id: request_id(args.request_id.as_ref(), &context.clock),
        conversation_id: conversation.id.clone(),
        last_seen_sequence: args.up_to.unwrap_or(conversation.last_sequence),
    };
    let call = async || messaging.clone().mark_read(request.clone()).await;
    let answer = context.insist(Service::Messaging, &request.request_id, call).await?;
    let mailbox = answer.mailbox.unwrap_or_default();
    let text = format!(
        "Read up to message {}. {} left.",
        request.last_seen_sequence,
        count(mailbox.unread_count, "unread message")
    );
    let json = json!({
        "conversation_id": conversation.id, "unread_count": answer.unread_count,
        "mailbox": {"unread_count": mailbox.unread_count, "revision": mailbox.revision},
    });
    Ok(Report::done(text, json))
}
