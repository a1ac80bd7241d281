//! `carepost reply`

use carepost_proto::messaging::v1::ReplyRequest;
use clap::Args;

use super::{ANYWHERE, conversation, others, send, text};
use crate::{
    args::Me,
    client::{Context, Service, request_id},
    errors::Failure,
    render::Report,
};

/// See `Command::Reply`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  carepost reply --as portal/pu-9 last \"Much better, thank you.\"\n\n\
    JSON: {conversation_id, message: {id, sequence, sender, body, send_time, unread}, mailbox: {unread_count, revision}}"
)]
pub struct ReplyArgs {
    #[command(flatten)]
    me: Me,
    /// Id of the conversation, or `last` for the one with the newest message.
    #[arg(value_name = "CONVERSATION")]
    conversation: String,
    /// The message; `-` reads it from standard input.
    #[arg(value_name = "TEXT")]
    text: String,
    /// Repeat a message that got no answer under its own id: it is sent once.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Replies.
pub async fn run(context: &Context, args: ReplyArgs) -> Result<Report, Failure> {
    let body = text(args.text)?;
    let me = args.me.person.as_ref().or(context.profile.me.as_ref());
    let mut messaging = context.messaging(me).await?;
    let conversation = conversation(context, &mut messaging, &args.conversation, ANYWHERE).await?;
    let request = ReplyRequest {
        request_id: request_id(args.request_id.as_ref(), &context.clock),
        conversation_id: conversation.id.clone(),
        body,
    };
    let call = async || messaging.clone().reply(request.clone()).await;
    let answer = context.insist(Service::Messaging, &request.request_id, call).await?;
    let to = others(&conversation, me);
    let message = answer.message.unwrap_or_default();
    Ok(send::sent(
        context,
        &to,
        &conversation.id,
        &message,
        answer.mailbox.unwrap_or_default(),
    ))
}
