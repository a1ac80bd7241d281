//! `carepost watch`

use std::time::Duration;

use carepost_identity::PersonId;
use carepost_proto::messaging::v1::{WatchInboxRequest, WatchInboxResponse, watch_inbox_response::Event};
use carepost_runtime::Backoff;
use clap::{Args, value_parser};
use serde_json::{Value, json};
use tonic::{Code, Status};

use super::{conversation_json, others};
use crate::{
    args::Me,
    client::{Context, Service},
    errors::{Exit, Failure},
    refusals,
    render::{Report, Style, clean, count, local, word},
};

const BACKOFF: Backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));

/// See `Command::Watch`.
#[derive(Debug, Args)]
#[command(after_help = "\
Shows the badge and what changes, as it happens, until Ctrl-C. A connection that is lost is made again, from where it was.

Examples:
  carepost watch --as staff/9999999896
  carepost watch --as staff/9999999896 --after 0 --count 1 --json

JSON: a line for each change: {event: opened, conversation_changed or reply_ability_may_have_changed, position,
mailbox: {unread_count, revision}, conversation: as in `inbox`
but without reply_ability and view_patient_url (`show` tells them), or null}")]
pub struct WatchArgs {
    #[command(flatten)]
    me: Me,
    /// Resume from this position; 0 tells everything [default: from now].
    #[arg(long, value_name = "POSITION", value_parser = value_parser!(i64).range(0..))]
    after: Option<i64>,
    /// End after so many changes.
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u64).range(1..))]
    count: Option<u64>,
}

/// Where a watch stands.
struct Watching<'a> {
    context: &'a Context,
    me: Option<&'a PersonId>,
    json: bool,
    position: Option<i64>,
    left: Option<u64>,
    failures: u32,
}

/// Watches the mailbox, until Ctrl-C.
pub async fn run(context: &Context, args: WatchArgs) -> Result<Report, Failure> {
    let me = args.me.person.as_ref().or(context.profile.me.as_ref());
    let mut watching = Watching {
        context,
        me,
        json: context.json,
        position: args.after,
        left: args.count,
        failures: 0,
    };
    tokio::select! {
        ended = watching.follow() => ended?,
        stop = tokio::signal::ctrl_c() => stop.map_err(|_| Failure::usage("Ctrl-C cannot be heard", ""))?,
    }
    Ok(Report::done(String::new(), Value::Null))
}

impl Watching<'_> {
    /// One stream after the other.
    async fn follow(&mut self) -> Result<(), Failure> {
        loop {
            let ended = self.stream().await?;
            let Some(status) = ended else { return Ok(()) };
            let failure = refusals::explain(self.context, Service::Messaging, &status);
            let again = failure.exit == Exit::Unavailable
                || matches!(
                    status.code(),
                    Code::ResourceExhausted | Code::Unknown | Code::Unauthenticated
                ) && self.failures == 0;
            if !again {
                return Err(failure);
            }
            self.failures += 1;
            if self.failures == 1 && !self.json {
                eprintln!(
                    "carepost: {failure} Trying to go on from position {}.",
                    self.position.unwrap_or(0)
                );
            }
            tokio::time::sleep(BACKOFF.delay(self.failures)).await;
        }
    }

    /// Reads one stream to its end: nothing if enough was seen.
    async fn stream(&mut self) -> Result<Option<Status>, Failure> {
        let mut messaging = self.context.messaging(self.me).await?;
        let request = WatchInboxRequest {
            after_position: self.position,
        };
        let mut stream = match messaging.watch_inbox(request).await {
            Ok(answer) => answer.into_inner(),
            Err(status) => return Ok(Some(status)),
        };
        loop {
            let told = match stream.message().await {
                Ok(Some(told)) => told,
                Ok(None) => return Ok(Some(Status::unavailable("the stream ended"))),
                Err(status) => return Ok(Some(status)),
            };
            self.failures = 0;
            self.position = Some(told.position);
            if self.tell(&told) {
                return Ok(None);
            }
        }
    }

    /// Says what happened, and whether that was enough.
    fn tell(&mut self, told: &WatchInboxResponse) -> bool {
        let mailbox = told.mailbox.unwrap_or_default();
        let badge = count(mailbox.unread_count, "unread message");
        let (event, text, conversation) = match &told.event {
            Some(Event::Opened(_)) => ("opened", format!("Watching. {badge}."), None),
            Some(Event::ConversationChanged(change)) => {
                let conversation = change.conversation.clone().unwrap_or_default();
                let with = clean(&others(&conversation, self.me), 40);
                let unread = count(conversation.unread_count, "unread message");
                let time = local(conversation.last_message_time);
                let folder = word(conversation.folder().as_str_name(), "FOLDER_");
                let text = format!(
                    "{time}  {folder}  {with}: {unread}, {badge} in all  {}",
                    conversation.id
                );
                ("conversation_changed", text, Some(conversation))
            }
            Some(Event::ReplyAbilityMayHaveChanged(_)) => (
                "reply_ability_may_have_changed",
                "Whether you can reply may have changed somewhere.".to_owned(),
                None,
            ),
            Some(Event::Heartbeat(_)) | None => return false,
        };
        if self.json {
            let line = json!({
                "event": event, "position": told.position,
                "mailbox": {"unread_count": mailbox.unread_count, "revision": mailbox.revision},
                "conversation": conversation.as_ref().map(conversation_json),
            });
            println!("{line}");
        } else {
            let style = if mailbox.unread_count > 0 {
                Style::Bold
            } else {
                Style::Plain
            };
            println!("{}", self.context.paint.paint(style, &text));
        }
        if event == "opened" {
            return false;
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.left == Some(0)
    }
}
