//! `carepost deadletters`

use carepost_broker::{
    BrokerError,
    dead_letters::{DeadLetter, DeadLetters, MAX_DEPTH, MAX_PAGE, RedriveError, Redriven},
    settings::BrokerSettings,
    topology::{DEFAULT_MAX_LENGTH, Topology},
};
use chrono::{DateTime, Local, SecondsFormat, Utc};
use clap::{Args, Subcommand, value_parser};
use serde_json::{Value, json};
use url::Url;

use super::confirm;
use crate::{
    args::Globals,
    errors::{Exit, Failure, capital},
    profile::{self, TokenSource},
    render::{Paint, Report, Style, Table, clean, count, hex},
    run::settings::Files,
};

/// How many bytes of a body are shown to people unless told otherwise.
const SHOWN: usize = 64;

/// See `Command::Deadletters`.
#[derive(Debug, Args)]
#[command(after_help = "\
A dead letter is an event that no service can make sense of: shown as its bytes, and never dropped. One that is sent back goes to
the queue that it came from, and comes back here if it is still malformed. Mend or update the service first.

The broker is that of the profile's `data`, the folder of `carepost run`. For another one, name it as the services' settings do:

  export CAREPOST_BROKER__URL=amqps://operator:password@rabbitmq.hospital.example:5671/carepost

Examples:
  carepost deadletters list
  carepost deadletters list --json --limit 1000
  carepost deadletters redrive 1c9d2f
  carepost deadletters redrive --all --yes

JSON of list: {remaining, letters: [{id, message_id, message_type, routing_key, queue, reason, time, size, body_hex}]}, with null
for what is not known; of redrive: {redriven, kept}")]
pub struct DeadlettersArgs {
    /// URL of the broker: amqp://, amqps:// or sqlite:///folder/broker.db [default: of the profile's `data`].
    #[arg(
        long,
        global = true,
        env = "CAREPOST_BROKER__URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    broker: Option<Url>,
    /// With amqps: a file with authorities (PEM) to trust beside those of this machine.
    #[arg(long, global = true, env = "CAREPOST_BROKER__CA_FILE", value_name = "FILE")]
    ca_file: Option<std::path::PathBuf>,
    /// As the services' setting `broker.prefix`.
    #[arg(
        long,
        global = true,
        env = "CAREPOST_BROKER__PREFIX",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
    /// As the services' setting `broker.queue_max_length`: RabbitMQ refuses another one than its queues have.
    #[arg(
        long,
        global = true,
        env = "CAREPOST_BROKER__QUEUE_MAX_LENGTH",
        value_name = "NUMBER",
        default_value_t = DEFAULT_MAX_LENGTH,
        value_parser = value_parser!(u32).range(1..=100_000_000)
    )]
    queue_max_length: u32,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the dead letters, the oldest first. None goes away.
    List(ListArgs),
    /// Send dead letters back to the queues that they came from.
    Redrive(RedriveArgs),
}

#[derive(Debug, Args)]
struct ListArgs {
    /// How many at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = value_parser!(u32).range(1..=i64::from(MAX_PAGE)))]
    limit: u32,
    /// Leave out so many of the oldest.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, value_parser = value_parser!(u32).range(0..=i64::from(MAX_DEPTH)))]
    skip: u32,
}

#[derive(Debug, Args)]
struct RedriveArgs {
    /// Ids of the letters, as `list` shows them.
    #[arg(value_name = "LETTER", required_unless_present_any = ["oldest", "all"], conflicts_with_all = ["oldest", "all"])]
    ids: Vec<String>,
    /// So many of the oldest.
    #[arg(long, value_name = "NUMBER", conflicts_with = "all", value_parser = value_parser!(u32).range(1..=i64::from(MAX_DEPTH)))]
    oldest: Option<u32>,
    /// All that there are, 10,000 at most.
    #[arg(long)]
    all: bool,
    /// Without asking.
    #[arg(long)]
    yes: bool,
}

/// Lists dead letters, or sends them back.
pub async fn run(globals: &Globals, paint: Paint, args: DeadlettersArgs) -> Result<Report, Failure> {
    let letters = DeadLetters::new(broker(globals, &args)?);
    match args.what {
        What::List(args) => list(&letters, paint, &args).await,
        What::Redrive(args) => redrive(&letters, args).await,
    }
}

fn broker(globals: &Globals, args: &DeadlettersArgs) -> Result<BrokerSettings, Failure> {
    let url = match &args.broker {
        Some(url) => url.clone(),
        None => of_the_profile(globals)?,
    };
    let topology = Topology::new(&args.prefix, args.queue_max_length);
    let topology = topology.map_err(|error| Failure::usage(format!("--prefix {error}"), "Correct it"))?;
    let settings = BrokerSettings::new(&url, "carepost deadletters", topology);
    let settings = settings.map_err(|error| Failure::usage(format!("--broker {error}"), "Correct it"))?;
    Ok(settings.with_authorities(args.ca_file.clone()))
}

/// The broker's file of an embedded suite.
fn of_the_profile(globals: &Globals) -> Result<Url, Failure> {
    let file = globals.profiles.clone().map_or_else(profile::default_file, Ok)?;
    let profile = profile::read(&file, &globals.profile)?;
    let unknown = || {
        Failure::usage(
            format!("The profile `{}` does not tell where the broker is", profile.name),
            "Set CAREPOST_BROKER__URL, or add --broker",
        )
    };
    let TokenSource::Folder(folder) = &profile.tokens else {
        return Err(unknown());
    };
    let folder = folder.canonicalize().map_err(|error| Failure::file(folder, &error))?;
    Files(folder).broker_url().parse().map_err(|_| unknown())
}

async fn list(letters: &DeadLetters, paint: Paint, args: &ListArgs) -> Result<Report, Failure> {
    let page = letters
        .list(args.skip, args.limit)
        .await
        .map_err(|error| failed(&error))?;
    let blocks: Vec<_> = page.letters.iter().map(|letter| block(letter, paint)).collect();
    let mut text = match blocks.as_slice() {
        [] => "No dead letters.".to_owned(),
        blocks => blocks.join("\n\n"),
    };
    if page.remaining > 0 {
        let next = args.skip + u32::try_from(page.letters.len()).unwrap_or(MAX_DEPTH);
        text.push_str(&format!(
            "\n\nThere are {} more: --limit, or --skip {next}.",
            page.remaining
        ));
    }
    let entries: Vec<_> = page.letters.iter().map(letter_json).collect();
    Ok(Report::done(
        text,
        json!({"remaining": page.remaining, "letters": entries}),
    ))
}

/// A letter, and the beginning of its body as bytes.
fn block(letter: &DeadLetter, paint: Paint) -> String {
    let unknown = || "not known".to_owned();
    let text = |text: &Option<String>| text.as_ref().map_or_else(unknown, |text| clean(text, 500));
    let time = |time: DateTime<Utc>| time.with_timezone(&Local).format("%Y-%m-%d %H:%M").to_string();
    let mut table = Table::new(&["DEAD LETTER", ""]);
    let mut row = |name: &str, value: String| table.row(Style::Plain, [name.to_owned(), value]);
    row("id", clean(&letter.id, 200));
    row("since", letter.time.map_or_else(unknown, time));
    row("why", text(&letter.reason));
    row("queue", text(&letter.queue));
    row("event", text(&letter.message_id));
    row("type", text(&letter.message_type));
    row("routing key", clean(&letter.routing_key, 200));
    let size = i64::try_from(letter.body.len()).unwrap_or(i64::MAX);
    row("body", count(size, "byte"));
    let shown = letter.body.get(..SHOWN).unwrap_or(&letter.body);
    let mut dump = hex::dump(shown);
    if letter.body.len() > shown.len() {
        dump.push_str("\n  … all of it with --json");
    }
    let dump = if shown.is_empty() {
        String::new()
    } else {
        format!("\n{dump}")
    };
    format!("{}{dump}", table.render(paint))
}

fn letter_json(letter: &DeadLetter) -> Value {
    let time = letter
        .time
        .map(|time| time.to_rfc3339_opts(SecondsFormat::Micros, true));
    json!({
        "id": letter.id, "message_id": letter.message_id, "message_type": letter.message_type,
        "routing_key": letter.routing_key, "queue": letter.queue, "reason": letter.reason, "time": time,
        "size": letter.body.len(), "body_hex": hex::plain(&letter.body),
    })
}

async fn redrive(letters: &DeadLetters, args: RedriveArgs) -> Result<Report, Failure> {
    let which = match (&args.ids[..], args.oldest) {
        ([], None) => "every dead letter".to_owned(),
        ([], Some(number)) => format!("the {} of the dead", count(number.into(), "oldest letter")),
        (ids, _) => count(i64::try_from(ids.len()).unwrap_or(i64::MAX), "dead letter"),
    };
    if !args.yes
        && !confirm(
            &format!("Send {which} back?"),
            "Look at them with `carepost deadletters list`, then add --yes",
        )?
    {
        return Ok(told(0, 0));
    }
    if args.ids.is_empty() {
        let Redriven {
            redriven,
            kept,
            failure,
        } = letters.redrive_oldest(args.oldest.unwrap_or(MAX_DEPTH)).await;
        return match failure {
            None => Ok(told(redriven, kept)),
            Some(error) => Err(stopped(redriven, &RedriveError::Failed(error))),
        };
    }
    let mut redriven = 0;
    for id in &args.ids {
        letters
            .redrive(id)
            .await
            .map_err(|error| stopped(redriven, &error).of(&clean(id, 200)))?;
        redriven += 1;
    }
    Ok(told(redriven, 0))
}

fn told(redriven: u32, kept: u32) -> Report {
    let mut text = match redriven {
        0 => "Nothing was sent back.".to_owned(),
        number => format!("Sent back: {}.", count(number.into(), "letter")),
    };
    if kept > 0 {
        let stay = count(kept.into(), "letter");
        text.push_str(&format!(" Kept: {stay} whose queue is not known or gone."));
    }
    let exit = if kept > 0 { Exit::Refused } else { Exit::Ok };
    let json = json!({"redriven": redriven, "kept": kept});
    Report { text, json, exit }
}

/// What ended it, and what was done by then.
fn stopped(redriven: u32, error: &RedriveError) -> Failure {
    let before = match redriven {
        0 => String::new(),
        number => format!("{} went back, then it ended: ", count(number.into(), "letter")),
    };
    match error {
        RedriveError::NotFound => Failure::new(
            Exit::NotFound,
            "NOT_FOUND",
            format!("{before}There is no such dead letter"),
            "See `carepost deadletters list`; it may have gone back already",
        ),
        RedriveError::NoQueue => Failure::new(
            Exit::Refused,
            "NO_QUEUE",
            format!("{before}The queue that it came from is not known or gone"),
            "It stays where it is",
        ),
        RedriveError::Failed(error) => Failure::new(
            Exit::Unavailable,
            "BROKER_UNAVAILABLE",
            format!("{before}The letter may still be there: {error}"),
            "Look at the rest with `carepost deadletters list`, and try again",
        ),
    }
}

/// The broker cannot be used.
fn failed(error: &BrokerError) -> Failure {
    let (exit, next) = match error {
        BrokerError::Authorities(_) => (Exit::Usage, "Correct --ca-file"),
        BrokerError::Newer(_) => (Exit::Failed, "Use the `carepost` of that version"),
        BrokerError::File(..) => (Exit::Usage, "Check the path"),
        _ => (
            Exit::Unavailable,
            "Check CAREPOST_BROKER__URL or --broker, and try again",
        ),
    };
    Failure::new(
        exit,
        "BROKER_UNAVAILABLE",
        capital(&clean(&error.to_string(), 400)),
        next,
    )
}
