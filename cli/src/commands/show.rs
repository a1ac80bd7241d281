//! `carepost show`

use carepost_proto::messaging::v1::{Conversation, ListMessagesRequest, Message, ReplyState};
use clap::{Args, value_parser};
use serde_json::{Value, json};

use super::{ANYWHERE, conversation, conversation_json, named, pages};
use crate::{
    args::Me,
    client::{Context, Service},
    errors::Failure,
    render::{Report, Style, body, clean, local, rfc3339},
};

/// See `Command::Show`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  carepost show --as portal/pu-9 last\n\n\
    JSON: {conversation: as in `inbox`, more, messages: [{id, sequence, sender, body, send_time, unread}]}")]
pub struct ShowArgs {
    #[command(flatten)]
    me: Me,
    /// Id of the conversation, or `last` for the one with the newest message.
    #[arg(value_name = "CONVERSATION")]
    conversation: String,
    /// Only messages after this one.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_default_value = true, value_parser = value_parser!(i64).range(0..))]
    after: i64,
    /// How many messages at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 200, value_parser = value_parser!(u16).range(1..=1_000))]
    limit: u16,
}

/// Shows a conversation.
pub async fn run(context: &Context, args: ShowArgs) -> Result<Report, Failure> {
    let mut messaging = context.messaging(args.me.person.as_ref()).await?;
    let conversation = conversation(context, &mut messaging, &args.conversation, ANYWHERE).await?;
    let page = async |page_size, page_token| {
        let request = ListMessagesRequest {
            conversation_id: conversation.id.clone(),
            page_size,
            page_token,
            after_sequence: args.after,
        };
        let page = context
            .ask(Service::Messaging, messaging.list_messages(request))
            .await?;
        Ok((page.messages, page.next_page_token))
    };
    let (messages, page_token) = pages(usize::from(args.limit), String::new(), page).await?;
    let more = !page_token.is_empty();
    let json = json!({
        "conversation": conversation_json(&conversation), "more": more,
        "messages": messages.iter().map(message_json).collect::<Vec<_>>(),
    });
    let mut blocks = vec![head(context, &conversation)];
    blocks.extend(reply(context, &conversation));
    blocks.extend(messages.iter().map(|message| block(context, &conversation, message)));
    if let (true, Some(last)) = (more, messages.last()) {
        blocks.push(format!("There are more messages: --after {}.", last.sequence));
    }
    Ok(Report::done(blocks.join("\n\n"), json))
}

fn head(context: &Context, conversation: &Conversation) -> String {
    let subject = Some(clean(&conversation.subject, 200)).filter(|subject| !subject.is_empty());
    let subject = subject.unwrap_or_else(|| "(no subject)".to_owned());
    let between: Vec<_> = conversation.participants.iter().map(named).collect();
    let regarding = conversation.regarding.as_ref().map_or_else(String::new, |chart| {
        format!(
            "\nRegarding {}, chart {}",
            clean(&chart.patient_name, 60),
            chart.chart_id
        )
    });
    let link = conversation
        .regarding
        .as_ref()
        .map_or("", |chart| &chart.view_patient_url);
    let link = match link {
        "" => String::new(),
        link => format!("\nView patient: {}", clean(link, 2_048)),
    };
    format!(
        "{}\nBetween {}{regarding}{link}\nConversation {}",
        context.paint.paint(Style::Bold, &subject),
        between.join(", "),
        conversation.id
    )
}

/// What keeps me from replying, if anything does.
fn reply(context: &Context, conversation: &Conversation) -> Option<String> {
    let ability = conversation.reply_ability.as_ref()?;
    match ability.state() {
        ReplyState::Unspecified | ReplyState::Allowed => None,
        ReplyState::Unknown => Some("Whether you can reply cannot be told at the moment.".to_owned()),
        ReplyState::Denied => {
            let mut lines = vec![context.paint.paint(Style::Red, "You can't reply now:")];
            for denial in &ability.denials {
                let reason = denial.reason().as_str_name().trim_start_matches("ELIGIBILITY_REASON_");
                let party = Some(&denial.party).filter(|party| !party.is_empty());
                let party = party.map_or_else(String::new, |party| format!(" ({party})"));
                lines.push(format!("  {reason}{party}: {}", clean(&denial.remedy, 500)));
            }
            Some(lines.join("\n"))
        }
    }
}

fn block(context: &Context, conversation: &Conversation, message: &Message) -> String {
    let sender = conversation
        .participants
        .iter()
        .find(|participant| participant.person == message.sender)
        .map_or_else(|| message.sender.clone(), named);
    let unread = if message.unread {
        format!("  {}", context.paint.paint(Style::Yellow, "unread"))
    } else {
        String::new()
    };
    let line = format!("{}. {sender}, {}", message.sequence, local(message.send_time));
    format!(
        "{}{unread}\n{}",
        context.paint.paint(Style::Bold, &line),
        body(&message.body)
    )
}

/// A message for scripts.
pub fn message_json(message: &Message) -> Value {
    json!({
        "id": message.id, "sequence": message.sequence, "sender": message.sender, "body": message.body,
        "send_time": rfc3339(message.send_time), "unread": message.unread,
    })
}
