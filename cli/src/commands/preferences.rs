//! `carepost preferences`

use carepost_proto::notification::v1::{GetPreferencesRequest, Preferences, UpdatePreferencesRequest};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;

use crate::{
    args::Me,
    client::{Context, Service},
    errors::Failure,
    render::Report,
};

/// See `Command::Preferences`.
#[derive(Debug, Args)]
#[command(after_help = "\
Staff are told of messages by the badge. They get an email for each one only if they ask for it here. Portal users always get one.

Examples:
  carepost preferences show --as staff/9999999896
  carepost preferences set --as staff/9999999896 --email on

JSON: {email_on_message}")]
pub struct PreferencesArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what I have chosen.
    Show(Me),
    /// Choose. It holds for messages from now on.
    Set(SetArgs),
}

#[derive(Debug, Args)]
struct SetArgs {
    #[command(flatten)]
    me: Me,
    /// An email for each message to me.
    #[arg(long, value_enum)]
    email: Switch,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

/// Shows or changes the preferences of a member of staff.
pub async fn run(context: &Context, args: PreferencesArgs) -> Result<Report, Failure> {
    let preferences = match args.what {
        What::Show(me) => {
            let mut notification = context.notification_of(me.person.as_ref()).await?;
            let call = notification.get_preferences(GetPreferencesRequest {});
            context.ask(Service::Notification, call).await?.preferences
        }
        What::Set(args) => {
            let mut notification = context.notification_of(args.me.person.as_ref()).await?;
            let call = notification.update_preferences(UpdatePreferencesRequest {
                email_on_message: Some(args.email == Switch::On),
            });
            context.ask(Service::Notification, call).await?.preferences
        }
    };
    Ok(told(preferences.unwrap_or_default()))
}

fn told(preferences: Preferences) -> Report {
    let text = if preferences.email_on_message {
        "Email: one for each message, besides the badge."
    } else {
        "Email: none; the badge tells of messages."
    };
    Report::done(text, json!({"email_on_message": preferences.email_on_message}))
}
