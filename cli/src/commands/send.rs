//! `carepost send`

use carepost_identity::{ChartId, PersonId};
use carepost_proto::messaging::v1::{Mailbox, Message, StartConversationRequest};
use clap::Args;
use serde_json::json;

use super::{show::message_json, text};
use crate::{
    args::Me,
    client::{Context, Service, request_id},
    errors::Failure,
    render::{Report, Style, local},
};

/// See `Command::Send`.
#[derive(Debug, Args)]
#[command(after_help = "\
Between staff and a portal user a message regards a chart, and has one recipient. Staff may write to several colleagues.

Examples:
  carepost send --as staff/9999999896 --to portal/pu-9 --chart 1021 --subject \"Your visit\" \"How are you today?\"
  carepost send --as staff/9999999896 --to staff/9999997791 --to staff/9999979294 - < handover.txt

JSON: {conversation_id, message: {id, sequence, sender, body, send_time, unread}, mailbox: {unread_count, revision}}")]
pub struct SendArgs {
    #[command(flatten)]
    me: Me,
    /// To whom: staff/ID or portal/ID. Again for each further member of staff.
    #[arg(long, value_name = "PERSON", required = true)]
    to: Vec<PersonId>,
    /// Id of the chart that it regards.
    #[arg(long, value_name = "ID")]
    chart: Option<ChartId>,
    /// The subject, one line.
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    subject: String,
    /// The message; `-` reads it from standard input.
    #[arg(value_name = "TEXT")]
    text: String,
    /// Repeat a message that got no answer under its own id: it is sent once.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Starts a conversation.
pub async fn run(context: &Context, args: SendArgs) -> Result<Report, Failure> {
    let body = text(args.text)?;
    let messaging = context.messaging(args.me.person.as_ref()).await?;
    let recipients: Vec<_> = args.to.iter().map(ToString::to_string).collect();
    let to = recipients.join(", ");
    let request = StartConversationRequest {
        request_id: request_id(args.request_id.as_ref(), &context.clock),
        recipients,
        chart_id: args.chart.map(Into::into),
        subject: args.subject,
        body,
    };
    let call = async || messaging.clone().start_conversation(request.clone()).await;
    let answer = context.insist(Service::Messaging, &request.request_id, call).await?;
    let message = answer.message.unwrap_or_default();
    Ok(sent(
        context,
        &to,
        &answer.conversation_id,
        &message,
        answer.mailbox.unwrap_or_default(),
    ))
}

/// What is told of a message that was accepted.
pub fn sent(context: &Context, to: &str, conversation: &str, message: &Message, mailbox: Mailbox) -> Report {
    let done = context.paint.paint(Style::Green, "Sent");
    let text = format!(
        "{done} to {to} at {}: message {} of conversation {conversation}",
        local(message.send_time),
        message.sequence
    );
    let json = json!({
        "conversation_id": conversation, "message": message_json(message),
        "mailbox": {"unread_count": mailbox.unread_count, "revision": mailbox.revision},
    });
    Report::done(text, json)
}
