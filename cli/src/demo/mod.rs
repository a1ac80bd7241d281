//! `carepost demo`: the whole story, on a suite of its own.

use std::{fs, io::IsTerminal, path::PathBuf, time::Duration};

use carepost_runtime::lifecycle::Lifecycle;
use clap::Args;
use serde_json::json;

use self::story::Story;
use crate::{
    args::Globals,
    errors::Failure,
    render::{Paint, Report, Style},
    run::{
        self,
        folder::Folder,
        suite::{Ports, Suite},
    },
};

mod care_team;
mod folders;
mod mail;
mod portal;
mod setting;
mod story;

/// The hospitals of the story.
const PRAIRIE: &str = include_str!("../../../tests/data/prairie.directory.json");
const SOUTHERN: &str = include_str!("../../../tests/data/southern.directory.json");

const ANY_PORT: Ports = Ports {
    eligibility: 0,
    messaging: 0,
    notification: 0,
};

/// See `Command::Demo`.
#[derive(Debug, Args)]
#[command(after_help = "\
It takes a few seconds, uses free ports, and leaves the emails in DIR/mail. The exit code is 0 only if every step held.

JSON: {steps, checks, milliseconds, mail}")]
pub struct DemoArgs {
    /// The folder of its suite. What an earlier demo left there is removed.
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    data: PathBuf,
}

/// Tells the story.
pub async fn run(globals: &Globals, args: &DemoArgs) -> Result<Report, Failure> {
    let begun = tokio::time::Instant::now();
    let telemetry = run::start_telemetry("off")?;
    let folder = fresh_folder(args)?;
    let suite = Suite::start(&folder, ANY_PORT, Lifecycle::default()).await?;
    let paint = Paint(std::io::stdout().is_terminal() && !globals.no_color);
    let mut story = Story::new(&folder, &suite, args.data.clone(), paint, globals.json);
    let told = tell(&mut story).await;
    let (steps, checks) = story.count();
    let stopped = suite.stop().await;
    telemetry.stop().await;
    told.and(stopped)?;
    Ok(report(args, paint, steps, checks, begun.elapsed()))
}

/// The folder without what an earlier demo left. It is removed only if it is a data folder that nobody uses.
fn fresh_folder(args: &DemoArgs) -> Result<Folder, Failure> {
    drop(Folder::open(&args.data)?);
    fs::remove_dir_all(&args.data).map_err(|error| Failure::file(&args.data, &error))?;
    let folder = Folder::open(&args.data)?;
    for (name, text) in [("prairie", PRAIRIE), ("southern", SOUTHERN)] {
        let path = args.data.join(format!("{name}.json"));
        fs::write(&path, text).map_err(|error| Failure::file(&path, &error))?;
    }
    Ok(folder)
}

async fn tell(story: &mut Story<'_>) -> Result<(), Failure> {
    let mut mailbox = mail::Mailbox::new(story.folder.files.mail());
    setting::a_suite(story);
    setting::two_hospitals(story).await?;
    setting::what_the_import_seeded(story).await?;
    let conversation = portal::a_message_to_a_guardian(story, &mut mailbox).await?;
    portal::a_clinic_with_its_own_brand(story, &mut mailbox).await?;
    portal::the_guardian_answers(story, &conversation).await?;
    care_team::two_colleagues(story).await?;
    care_team::the_place_is_lost(story, &conversation).await?;
    care_team::and_found_again(story, &mut mailbox, &conversation).await?;
    folders::put_away_and_back(story, &conversation).await?;
    folders::search(story, &conversation).await?;
    portal::a_stranger(story, &conversation).await?;
    portal::another_country(story, &mut mailbox).await?;
    portal::nothing_is_left_over(story, &mailbox).await
}

fn report(args: &DemoArgs, paint: Paint, steps: usize, checks: usize, took: Duration) -> Report {
    let mail = args.data.join("mail");
    let text = format!(
        "\n{} {steps} steps, {checks} checks, {:.1} s. The emails are in {}/*.eml.\nNow try it yourself: `make run`.",
        paint.paint(Style::Green, "Every step held:"),
        took.as_secs_f64(),
        mail.display()
    );
    let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    Report::done(
        text,
        json!({"steps": steps, "checks": checks, "milliseconds": milliseconds, "mail": mail}),
    )
}
