//! The command line.

use std::path::PathBuf;

use carepost_identity::{OrganizationId, PersonId};
use clap::{Args, Parser, Subcommand};

use crate::{commands, demo, run};

const EXAMPLES: &str = "\
Examples:
  carepost run --import tests/data/prairie.directory.json
  carepost recipients --as staff/9999999896 --chart 1021
  carepost send --as staff/9999999896 --to portal/pu-9 --chart 1021 --subject \"Your visit\" \"How are you today?\"
  carepost inbox --as portal/pu-9
  carepost reply --as portal/pu-9 last \"Much better, thank you.\"
  carepost explain --from portal/pu-3 --to staff/9999999896 --chart 1021

Exit codes:
  0  done
  1  failed for another reason than these
  2  the command line, a profile or a file is wrong
  3  the answer is no: not eligible (`explain` too), not allowed, or records were refused
  4  there is no such thing, or it is not yours
  5  a service does not answer; try again later";

const PROFILES: &str = "\
Profiles keep commands short. They are tables of ~/.config/carepost/profiles.toml (or --profiles FILE):

  [local]                                   # written by `carepost run`; used if no other is named
  organization = \"prairie\"
  messaging    = \"http://127.0.0.1:7602\"
  eligibility  = \"http://127.0.0.1:7601\"
  notification = \"http://127.0.0.1:7603\"
  data         = \"/home/me/carepost-data\"   # an embedded suite: each command makes its own token with its key

  [live]
  organization = \"prairie\"
  as           = \"staff/9999999896\"         # who I am, without --as
  messaging    = \"https://messaging.hospital.example\"
  eligibility  = \"https://eligibility.hospital.example\"
  notification = \"https://notification.hospital.example\"
  token_file   = \"/home/me/.carepost-token\" # a person's token, or that of a service that may act for people
  ca_file      = \"/home/me/hospital-ca.pem\" # the hospital's own authority, in place of those of this machine
  certificate_file = \"/home/me/me.pem\"      # who I am to servers that ask for a certificate (mutual TLS)
  key_file         = \"/home/me/me.key\"

With --json, answers go to standard output and failures to standard error, each as one JSON document; fields are added to it,
never renamed or removed. Times are in UTC there, and in local time everywhere else.";

/// Secure messages between care teams and portal users.
///
/// `carepost run` starts the whole suite on this machine. The other commands talk to it, or to any other deployment.
#[derive(Debug, Parser)]
#[command(name = "carepost", version, after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{PROFILES}"))]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub struct Cli {
    /// What every command has.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What every command has.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Globals {
    /// Which profile: where the services are, who I am, where the token is from.
    #[arg(
        long,
        global = true,
        env = "CAREPOST_PROFILE",
        value_name = "NAME",
        default_value = "local"
    )]
    pub profile: String,
    /// The file of profiles [default: ~/.config/carepost/profiles.toml].
    #[arg(long, global = true, env = "CAREPOST_PROFILES", value_name = "FILE")]
    pub profiles: Option<PathBuf>,
    /// For another organization than the profile's.
    #[arg(long, global = true, value_name = "ID")]
    pub organization: Option<OrganizationId>,
    /// Answer with JSON, for scripts.
    #[arg(long, global = true)]
    pub json: bool,
    /// Without colours; they are used on a terminal only.
    #[arg(long, global = true, env = "NO_COLOR", value_parser = given)]
    pub no_color: bool,
}

/// Any text but the empty one, as <https://no-color.org> has it.
#[allow(clippy::unnecessary_wraps, reason = "the form of a parser of clap's")]
fn given(text: &str) -> Result<bool, String> {
    Ok(!matches!(text, "" | "false"))
}

/// Who acts.
#[derive(Clone, Debug, Args)]
pub struct Me {
    /// Who I am: staff/ID or portal/ID [default: the profile's].
    #[arg(long = "as", value_name = "PERSON")]
    pub person: Option<PersonId>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start the whole suite on this machine, in this process, until Ctrl-C.
    Run(run::RunArgs),
    /// Tell the whole story on a suite of its own, and check every step of it.
    Demo(demo::DemoArgs),
    /// List the events that no service can make sense of, and send them back.
    Deadletters(commands::deadletters::DeadlettersArgs),
    /// Verify the audit trails, and export them.
    Audit(commands::audit::AuditArgs),
    /// Hand out a patient's conversations, as the law demands: all of a chart or of a portal user, to a file.
    ExportPatient(commands::export_patient::ExportPatientArgs),
    /// What is asked of a running suite.
    #[command(flatten)]
    Client(ClientCommand),
}

/// What is asked of a running suite.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Bring a directory from a file into the suite: staff, charts, portal users.
    Import(commands::import::ImportArgs),
    /// Print a token of a person or a service, made with the key of an embedded suite.
    Token(commands::token::TokenArgs),
    /// List whom I may write to now.
    Recipients(commands::recipients::RecipientsArgs),
    /// Start a conversation.
    Send(commands::send::SendArgs),
    /// Answer in a conversation.
    Reply(commands::reply::ReplyArgs),
    /// List my conversations, newest activity first.
    Inbox(commands::inbox::InboxArgs),
    /// Show a conversation with its messages. Marks nothing as read.
    Show(commands::show::ShowArgs),
    /// Mark the messages of a conversation as read.
    Read(commands::read::ReadArgs),
    /// Mark messages of a conversation as unread.
    Unread(commands::archive::UnreadArgs),
    /// Move a conversation to my Archived folder.
    Archive(commands::archive::ArchiveArgs),
    /// Move a conversation back to my Active folder.
    Unarchive(commands::archive::UnarchiveArgs),
    /// Find a text in my conversations.
    Search(commands::search::SearchArgs),
    /// Show what changes in my mailbox, live.
    Watch(commands::watch::WatchArgs),
    /// Show what I may start, and what everybody who writes must know.
    Compose(commands::compose::ComposeArgs),
    /// Show how many messages I have not read.
    Badge(commands::badge::BadgeArgs),
    /// Tell why somebody can or can't write to somebody: every reason with its remedy.
    Explain(commands::explain::ExplainArgs),
    /// Show or change whether messaging is on and how, and the brand of emails.
    Settings(commands::settings::SettingsArgs),
    /// List, show, write or delete records of the directory.
    Directory(commands::directory::DirectoryArgs),
    /// List the emails about messages, show one with every attempt, or try one again.
    Deliveries(commands::deliveries::DeliveriesArgs),
    /// Show or change whether I get an email for each message, as staff.
    Preferences(commands::preferences::PreferencesArgs),
    /// Show an email as it would go out, to nobody.
    PreviewEmail(commands::preview_email::PreviewEmailArgs),
    /// Count the portal messages without an answer, by age and by member of staff, inactive staff first.
    Unanswered(commands::unanswered::UnansweredArgs),
}
