//! `carepost badge`

use carepost_proto::messaging::v1::GetUnreadCountRequest;
use clap::Args;
use serde_json::json;

use crate::{
    args::Me,
    client::{Context, Service},
    errors::Failure,
    render::{Report, Style, count},
};

/// See `Command::Badge`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  carepost badge --as staff/9999999896\n\nJSON: {unread_count, revision}")]
pub struct BadgeArgs {
    #[command(flatten)]
    me: Me,
}

/// Shows the badge.
pub async fn run(context: &Context, args: BadgeArgs) -> Result<Report, Failure> {
    let mut messaging = context.messaging(args.me.person.as_ref()).await?;
    let call = messaging.get_unread_count(GetUnreadCountRequest {});
    let mailbox = context.ask(Service::Messaging, call).await?.mailbox.unwrap_or_default();
    let style = if mailbox.unread_count > 0 {
        Style::Bold
    } else {
        Style::Plain
    };
    let text = context
        .paint
        .paint(style, &count(mailbox.unread_count, "unread message"));
    let json = json!({"unread_count": mailbox.unread_count, "revision": mailbox.revision});
    Ok(Report::done(text, json))
}
