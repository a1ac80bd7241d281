//! `carepost inbox`

use carepost_identity::PersonId;
use carepost_proto::messaging::v1::{Conversation, Folder, ListConversationsRequest, Mailbox};
use clap::{Args, value_parser};
use serde_json::json;

use super::{conversation_json, others, pages};
use crate::{
    args::Me,
    client::{Context, Service},
    errors::Failure,
    render::{Report, Style, Table, clean, count, local},
};

/// See `Command::Inbox`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  carepost inbox --as portal/pu-9\n\n\
    JSON: {unread_count, revision, more, conversations: [{id, kind, subject, regarding: {chart_id, patient_name, view_patient_url} or null, \
    participants: [{person, display_name}], create_time, last_message_time, last_sequence, unread_count, \
    last_read_sequence, folder, last_message: {sender, text}, reply_ability: {state, denials: [{reason, party, remedy}]}}]}")]
pub struct InboxArgs {
    #[command(flatten)]
    me: Me,
    /// How many conversations at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// The Archived folder instead of the Active one.
    #[arg(long)]
    archived: bool,
    /// Only conversations with unread messages.
    #[arg(long)]
    unread: bool,
}

/// Lists the conversations.
pub async fn run(context: &Context, args: InboxArgs) -> Result<Report, Failure> {
    let me = args.me.person.as_ref().or(context.profile.me.as_ref());
    let mut messaging = context.messaging(me).await?;
    let mut mailbox = Mailbox::default();
    let page = async |page_size, page_token| {
        let call = messaging.list_conversations(ListConversationsRequest {
            page_size,
            page_token,
            folder: if args.archived {
                Folder::Archived
            } else {
                Folder::Active
            }
            .into(),
            unread_only: args.unread,
        });
        let page = context.ask(Service::Messaging, call).await?;
        mailbox = page.mailbox.unwrap_or_default();
        Ok((page.conversations, page.next_page_token))
    };
    let (conversations, page_token) = pages(usize::from(args.limit), String::new(), page).await?;
    let more = !page_token.is_empty();
    let json = json!({
        "unread_count": mailbox.unread_count, "revision": mailbox.revision, "more": more,
        "conversations": conversations.iter().map(conversation_json).collect::<Vec<_>>(),
    });
    Ok(Report::done(text(context, me, mailbox, &conversations, more), json))
}

fn text(
    context: &Context,
    me: Option<&PersonId>,
    mailbox: Mailbox,
    conversations: &[Conversation],
    more: bool,
) -> String {
    if conversations.is_empty() {
        return "No conversations here.".to_owned();
    }
    let mut table = Table::new(&["UNREAD", "NEWEST", "WITH", "REGARDING", "SUBJECT", "CONVERSATION"]);
    for conversation in conversations {
        let unread = conversation.unread_count;
        let regarding = conversation.regarding.as_ref();
        table.row(
            if unread > 0 { Style::Bold } else { Style::Plain },
            [
                if unread > 0 { unread.to_string() } else { "-".to_owned() },
                local(conversation.last_message_time),
                clean(&others(conversation, me), 40),
                regarding.map_or_else(|| "-".to_owned(), |chart| clean(&chart.patient_name, 30)),
                clean(&conversation.subject, 40),
                conversation.id.clone(),
            ],
        );
    }
    let unread = count(mailbox.unread_count, "unread message");
    let more = if more {
        " There are more conversations: --limit."
    } else {
        ""
    };
    format!("{}\n{unread}.{more}", table.render(context.paint))
}
