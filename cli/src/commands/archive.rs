//! `carepost archive`, `carepost unarchive` and `carepost unread`

use carepost_proto::messaging::v1::{
    ArchiveConversationRequest, Folder, Mailbox, MarkUnreadRequest, UnarchiveConversationRequest,
};
use clap::{Args, value_parser};
use serde_json::{Value, json};

use super::{ANYWHERE, conversation};
use crate::{
    args::Me,
    client::{Context, Service, request_id},
    errors::Failure,
    render::{Report, count},
};

/// See `Command::Archive`.
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing unseen is ever hidden: if a message came after the last one that you saw, the conversation stays.

Example:
  carepost archive --as staff/9999999896 last

JSON: {conversation_id, mailbox: {unread_count, revision}}")]
pub struct ArchiveArgs {
    #[command(flatten)]
    which: Which,
    /// The last message that I saw [default: the newest one at this moment].
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(i64).range(1..))]
    seen: Option<i64>,
}

/// See `Command::Unarchive`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  carepost unarchive --as staff/9999999896 last\n\n\
    JSON: {conversation_id, mailbox: {unread_count, revision}}")]
pub struct UnarchiveArgs {
    #[command(flatten)]
    which: Which,
}

/// See `Command::Unread`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  carepost unread --as staff/9999999896 last --from 2\n\n\
    JSON: {conversation_id, unread_count, mailbox: {unread_count, revision}}")]
pub struct UnreadArgs {
    #[command(flatten)]
    which: Which,
    /// From this message on [default: the newest one].
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(i64).range(1..))]
    from: Option<i64>,
}

#[derive(Debug, Args)]
struct Which {
    #[command(flatten)]
    me: Me,
    /// Id of the conversation, or `last` for the one with the newest message; of `archive` the newest active one, of `unarchive`
    /// the newest archived one.
    #[arg(value_name = "CONVERSATION")]
    conversation: String,
    /// Repeat a request that got no answer under its own id.
    #[arg(long, value_name = "ID")]
    request_id: Option<String>,
}

/// Moves a conversation to the Archived folder.
pub async fn archive(context: &Context, args: ArchiveArgs) -> Result<Report, Failure> {
    let which = args.which;
    let mut messaging = context.messaging(which.me.person.as_ref()).await?;
    let conversation = conversation(context, &mut messaging, &which.conversation, &[Folder::Active]).await?;
    let request = ArchiveConversationRequest {
        request_id: request_id(which.request_id.as_ref(), &context.clock),
        conversation_id: conversation.id.clone(),
        last_seen_sequence: args.seen.unwrap_or(conversation.last_sequence),
    };
    let call = async || messaging.clone().archive_conversation(request.clone()).await;
    let answer = context.insist(Service::Messaging, &request.request_id, call).await?;
    Ok(done("Archived.", &conversation.id, answer.mailbox, None))
}

/// Moves a conversation back to the Active folder.
pub async fn unarchive(context: &Context, args: UnarchiveArgs) -> Result<Report, Failure> {
    let which = args.which;
    let mut messaging = context.messaging(which.me.person.as_ref()).await?;
    let conversation = conversation(context, &mut messaging, &which.conversation, &[Folder::Archived]).await?;
    let request = UnarchiveConversationRequest {
        request_id: request_id(which.request_id.as_ref(), &context.clock),
        conversation_id: conversation.id.clone(),
    };
    let call = async || messaging.clone().unarchive_conversation(request.clone()).await;
    let answer = context.insist(Service::Messaging, &request.request_id, call).await?;
    Ok(done("Back in the inbox.", &conversation.id, answer.mailbox, None))
}

/// Marks messages as unread.
pub async fn unread(context: &Context, args: UnreadArgs) -> Result<Report, Failure> {
    let which = args.which;
    let mut messaging = context.messaging(which.me.person.as_ref()).await?;
    let conversation = conversation(context, &mut messaging, &which.conversation, ANYWHERE).await?;
    let request = MarkUnreadRequest {
        request_id: request_id(which.request_id.as_ref(), &context.clock),
        conversation_id: conversation.id.clone(),
        from_sequence: args.from.unwrap_or(conversation.last_sequence),
    };
    let call = async || messaging.clone().mark_unread(request.clone()).await;
    let answer = context.insist(Service::Messaging, &request.request_id, call).await?;
    let what = format!("{} in the conversation.", count(answer.unread_count, "unread message"));
    Ok(done(&what, &conversation.id, answer.mailbox, Some(answer.unread_count)))
}

fn done(what: &str, conversation_id: &str, mailbox: Option<Mailbox>, unread_count: Option<i64>) -> Report {
    let mailbox = mailbox.unwrap_or_default();
    let text = format!("{what} {} in the inbox.", count(mailbox.unread_count, "unread message"));
    let mut json = json!({
        "conversation_id": conversation_id,
        "mailbox": {"unread_count": mailbox.unread_count, "revision": mailbox.revision},
    });
    if let (Some(unread), Value::Object(fields)) = (unread_count, &mut json) {
        fields.insert("unread_count".to_owned(), unread.into());
    }
    Report::done(text, json)
}
