//! One file for each command of the client.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use carepost_identity::PersonId;
use carepost_proto::messaging::v1::{
    Conversation, Folder, GetConversationRequest, ListConversationsRequest, Participant, ReplyAbility,
    messaging_service_client::MessagingServiceClient,
};
use serde_json::{Value, json};

use crate::{
    args::ClientCommand,
    client::{Context, Service, Through},
    errors::{Exit, Failure},
    render::{self, Report},
};

pub mod archive;
pub mod audit;
pub mod badge;
pub mod compose;
mod database;
pub mod deadletters;
pub mod deliveries;
pub mod directory;
pub mod explain;
pub mod export_patient;
pub mod import;
pub mod inbox;
pub mod preferences;
pub mod preview_email;
pub mod read;
pub mod recipients;
pub mod reply;
pub mod search;
pub mod send;
pub mod settings;
pub mod show;
pub mod token;
pub mod unanswered;
pub mod watch;

/// The most entries on one page.
const PAGE: usize = 100;
/// The longest text that is read from standard input; the services take less.
const MAX_TEXT: u64 = 256 * 1_024;

/// Does what a command asks.
pub async fn perform(context: &Context, command: ClientCommand) -> Result<Report, Failure> {
    match command {
        ClientCommand::Import(args) => import::run(context, args).await,
        ClientCommand::Token(args) => token::run(context, &args),
        ClientCommand::Recipients(args) => recipients::run(context, args).await,
        ClientCommand::Send(args) => send::run(context, args).await,
        ClientCommand::Reply(args) => reply::run(context, args).await,
        ClientCommand::Inbox(args) => inbox::run(context, args).await,
        ClientCommand::Show(args) => show::run(context, args).await,
        ClientCommand::Read(args) => read::run(context, args).await,
        ClientCommand::Unread(args) => archive::unread(context, args).await,
        ClientCommand::Archive(args) => archive::archive(context, args).await,
        ClientCommand::Unarchive(args) => archive::unarchive(context, args).await,
        ClientCommand::Search(args) => search::run(context, args).await,
        ClientCommand::Watch(args) => watch::run(context, args).await,
        ClientCommand::Compose(args) => compose::run(context, args).await,
        ClientCommand::Settings(args) => settings::run(context, args).await,
        ClientCommand::Directory(args) => directory::run(context, args).await,
        ClientCommand::Badge(args) => badge::run(context, args).await,
        ClientCommand::Explain(args) => explain::run(context, args).await,
        ClientCommand::Deliveries(args) => deliveries::run(context, args).await,
        ClientCommand::Preferences(args) => preferences::run(context, args).await,
        ClientCommand::PreviewEmail(args) => preview_email::run(context, args).await,
        ClientCommand::Unanswered(args) => unanswered::run(context, args).await,
    }
}

/// The entries of a list up to a limit, from a page on, and the token of the page after them: empty if there is none.
///
/// A page is asked for by its size and its token, and comes with the token of the next one.
async fn pages<T>(
    limit: usize,
    from: String,
    mut page: impl AsyncFnMut(i32, String) -> Result<(Vec<T>, String), Failure>,
) -> Result<(Vec<T>, String), Failure> {
    let (mut entries, mut token) = (Vec::new(), from);
    while entries.len() < limit {
        let size = i32::try_from(limit.saturating_sub(entries.len()).min(PAGE)).unwrap_or_default();
        let (more, next) = page(size, token).await?;
        entries.extend(more);
        token = next;
        if token.is_empty() {
            break;
        }
    }
    Ok((entries, token))
}

/// Asks whoever is at the terminal. Where nobody is, it is refused with what to do instead.
fn confirm(question: &str, otherwise: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::usage("Nobody is at the terminal to agree", otherwise));
    }
    eprint!("{question} [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().take(16).read_line(&mut answer);
    read.map_err(|_| Failure::usage("The answer cannot be read", ""))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// The text of a message: as given, or for `-` from standard input.
fn text(given: String) -> Result<String, Failure> {
    if given != "-" {
        return Ok(given);
    }
    let mut text = String::new();
    let read = std::io::stdin().lock().take(MAX_TEXT).read_to_string(&mut text);
    read.map_err(|_| Failure::usage("Standard input is no text", "Give the message in UTF-8"))?;
    Ok(text.trim_end().to_owned())
}

/// Both folders: the newest conversation, wherever it is.
const ANYWHERE: &[Folder] = &[Folder::Active, Folder::Archived];

/// The conversation of this id, or for `last` the one with the newest activity in these folders.
async fn conversation(
    context: &Context,
    messaging: &mut MessagingServiceClient<Through>,
    id: &str,
    folders: &[Folder],
) -> Result<Conversation, Failure> {
    let nothing = |what: &str, next: &str| Failure::new(Exit::NotFound, "NOT_FOUND", what, next);
    if id == "last" {
        let mut newest = Vec::new();
        for folder in folders {
            let request = ListConversationsRequest {
                page_size: 1,
                folder: (*folder).into(),
                ..Default::default()
            };
            let call = messaging.list_conversations(request);
            newest.extend(context.ask(Service::Messaging, call).await?.conversations);
        }
        let newest = newest.into_iter().max_by_key(|conversation| {
            let time = conversation.last_message_time.unwrap_or_default();
            (time.seconds, time.nanos)
        });
        return newest.ok_or_else(|| match folders {
            [Folder::Archived] => nothing("There is no archived conversation", "See `carepost inbox --archived`"),
            [Folder::Active] => nothing("There is no active conversation", "See `carepost inbox --archived`"),
            _ => nothing("There is no conversation yet", "Start one with `carepost send`"),
        });
    }
    let request = GetConversationRequest {
        conversation_id: id.to_owned(),
    };
    let call = messaging.get_conversation(request);
    let found = context.ask(Service::Messaging, call).await?.conversation;
    found.ok_or_else(|| nothing("There is no such conversation", "See `carepost inbox`"))
}

/// A conversation for scripts.
fn conversation_json(conversation: &Conversation) -> Value {
    let participants: Vec<_> = conversation
        .participants
        .iter()
        .map(|participant| json!({"person": participant.person, "display_name": participant.display_name}))
        .collect();
    let regarding = conversation.regarding.as_ref().map(|regarding| {
        json!({
            "chart_id": regarding.chart_id, "patient_name": regarding.patient_name,
            "view_patient_url": regarding.view_patient_url,
        })
    });
    let last_message = conversation
        .last_message
        .as_ref()
        .map(|message| json!({"sender": message.sender, "text": message.text}));
    json!({
        "id": conversation.id,
        "kind": render::word(conversation.kind().as_str_name(), "CONVERSATION_KIND_"),
        "subject": conversation.subject,
        "regarding": regarding,
        "participants": participants,
        "create_time": render::rfc3339(conversation.create_time),
        "last_message_time": render::rfc3339(conversation.last_message_time),
        "last_sequence": conversation.last_sequence,
        "unread_count": conversation.unread_count,
        "last_read_sequence": conversation.last_read_sequence,
        "folder": render::word(conversation.folder().as_str_name(), "FOLDER_"),
        "last_message": last_message,
        "reply_ability": conversation.reply_ability.as_ref().map(reply_ability_json),
    })
}

/// Whether one can reply, for scripts.
fn reply_ability_json(ability: &ReplyAbility) -> Value {
    let denials: Vec<_> = ability
        .denials
        .iter()
        .map(|denial| {
            let reason = denial.reason().as_str_name().trim_start_matches("ELIGIBILITY_REASON_");
            json!({"reason": reason, "party": denial.party, "remedy": denial.remedy})
        })
        .collect();
    json!({"state": render::word(ability.state().as_str_name(), "REPLY_STATE_"), "denials": denials})
}

/// Everybody in a conversation but me, by name.
fn others(conversation: &Conversation, me: Option<&PersonId>) -> String {
    let me = me.map(ToString::to_string);
    let others: Vec<_> = conversation
        .participants
        .iter()
        .filter(|participant| Some(&participant.person) != me.as_ref())
        .map(named)
        .collect();
    others.join(", ")
}

/// A participant's name, or if it was never known the id.
fn named(participant: &Participant) -> String {
    let name = Some(participant.display_name.as_str()).filter(|name| !name.is_empty());
    render::clean(name.unwrap_or(&participant.person), 60)
}
