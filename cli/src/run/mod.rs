//! `carepost run`: the whole suite in this process, with nothing to install.

use std::{
    io::{IsTerminal, Write},
    path::PathBuf,
};

use carepost_identity::OrganizationId;
use carepost_rpc::connect::ClientTls;
use carepost_runtime::{
    Clock,
    lifecycle::Lifecycle,
    settings::Reader,
    telemetry::{Telemetry, TelemetrySettings},
};
use clap::Args;
use serde_json::Value;

use self::{
    folder::Folder,
    settings::quoted,
    suite::{Ports, Suite},
    welcome::Imported,
};
use crate::{
    args::{ClientCommand, Globals},
    client::Context,
    commands::{self, import::ImportArgs},
    directory::DirectoryFile,
    errors::{Exit, Failure},
    profile::{Profile, TokenSource},
    render::{Paint, Report},
};

pub mod folder;
pub mod settings;
pub mod suite;
pub mod welcome;

/// See `Command::Run`.
#[derive(Debug, Args)]
#[command(after_help = "\
Databases, queues, emails and the signing key are files in the data folder. The first start makes them, and writes the
profile `local`, which the other commands use. Nothing listens beyond this machine.

Examples:
  carepost run --import tests/data/prairie.directory.json
  carepost run --data /tmp/second --eligibility-port 0 --messaging-port 0 --notification-port 0

JSON, one line once it runs: {messaging, eligibility, notification, data, mail, profiles, organization or null, commands}")]
pub struct RunArgs {
    /// The data folder [default: ~/.local/share/carepost].
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Where the services listen.
    #[command(flatten)]
    ports: Ports,
    /// Import this directory, unless one was imported by an earlier start.
    #[arg(long, value_name = "FILE")]
    import: Option<PathBuf>,
    /// Which logs are shown, for example `info` [default: warn; with --json none].
    #[arg(long, value_name = "FILTER")]
    log: Option<String>,
}

/// Runs the suite until Ctrl-C.
pub async fn run(globals: &Globals, args: &RunArgs) -> Result<Report, Failure> {
    let filter = args.log.as_deref().unwrap_or(if globals.json { "off" } else { "warn" });
    let telemetry = start_telemetry(filter)?;
    let life = Lifecycle::default();
    life.heed_signals().map_err(|failure| suite::unfinished(&failure))?;
    let stopping = life.stopping();
    let folder = Folder::open(&data_folder(args)?)?;
    let suite = Suite::start(&folder, args.ports, life).await?;
    let welcomed = tokio::select! {
        welcomed = welcome(globals, args, &folder, &suite) => welcomed,
        () = stopping.cancelled() => Ok(()),
    };
    if let Err(failure) = welcomed {
        let _ = suite.stop().await;
        return Err(failure);
    }
    let served = suite.serve().await;
    telemetry.stop().await;
    served.map(|()| Report::done("Stopped. All that was sent is kept.", Value::Null))
}

fn data_folder(args: &RunArgs) -> Result<PathBuf, Failure> {
    let unknown = || Failure::usage("You have no home folder", "Name a data folder with --data");
    let usual = || std::env::home_dir().map(|home| home.join(".local/share/carepost"));
    args.data.clone().or_else(usual).ok_or_else(unknown)
}

/// Logs and traces of this process.
pub fn start_telemetry(filter: &str) -> Result<Telemetry, Failure> {
    let text = format!(
        "[telemetry]\nlog_filter = {}\nlog_format = \"text\"\notlp_endpoint = \"\"\n",
        quoted(filter)
    );
    let read = Reader::embedded(&text, "").and_then(|mut reader| {
        let settings = TelemetrySettings::read(&mut reader);
        reader.finish(settings)
    });
    let wrong = |_| {
        Failure::usage(
            format!("--log {filter} is no filter"),
            "Give a level, or levels by module: info,sqlx=warn",
        )
    };
    let failed = |_| Failure::new(Exit::Failed, "LOGS", "No logs can be written", "");
    Telemetry::start("suite", &read.map_err(wrong)?).map_err(failed)
}

async fn welcome(globals: &Globals, args: &RunArgs, folder: &Folder, suite: &Suite) -> Result<(), Failure> {
    let imported = import_once(globals, args, folder, suite).await?;
    let organization = imported.as_ref().map(|imported| imported.organization.as_str());
    let organization_id = organization.and_then(|organization| OrganizationId::parse(organization).ok());
    let profiles = welcome::write_profile(globals, folder, suite, organization_id.as_ref())?;
    let context = context(folder, suite, organization_id)?;
    let noted = imported.as_ref().and_then(|imported| imported.example.clone());
    let example = welcome::allowed(&context, noted.into_iter().collect()).await;
    let commands = example.map(|example| welcome::commands(globals, &profiles, &example).to_vec());
    let commands = commands.unwrap_or_default();
    let told = if globals.json {
        welcome::json(folder, suite, organization, &profiles, &commands).to_string()
    } else {
        welcome::text(folder, suite, organization, &profiles, &commands)
    };
    // Nobody may be reading; the suite serves all the same.
    let _ = writeln!(std::io::stdout(), "{told}");
    Ok(())
}

/// Imports the file of `--import`, if no earlier start did.
async fn import_once(
    globals: &Globals,
    args: &RunArgs,
    folder: &Folder,
    suite: &Suite,
) -> Result<Option<Imported>, Failure> {
    let imported = welcome::imported(folder);
    let (None, Some(path)) = (&imported, &args.import) else {
        return Ok(imported);
    };
    let file = DirectoryFile::read(path)?;
    let candidates = welcome::candidates(&file);
    let organization = OrganizationId::parse(file.organization.id.as_str());
    let organization = organization
        .map_err(|error| Failure::usage(format!("{}: organization.id {error}", path.display()), "Correct it"))?;
    let context = context(folder, suite, Some(organization.clone()))?;
    let import = ClientCommand::Import(ImportArgs::of(path.clone()));
    let report = commands::perform(&context, import).await?;
    if !globals.json {
        let _ = writeln!(std::io::stdout(), "{}\n", report.text);
    }
    let imported = Imported {
        organization: organization.into(),
        example: welcome::allowed(&context, candidates).await,
    };
    welcome::note(folder, &imported)?;
    Ok(Some(imported))
}

/// The suite of this process, for the commands of the client.
pub fn context(folder: &Folder, suite: &Suite, organization: Option<OrganizationId>) -> Result<Context, Failure> {
    let url = |address| format!("http://{address}").parse();
    let failed = |_| Failure::new(Exit::Failed, "ADDRESS", "An address of the suite is no address", "");
    let profile = Profile {
        name: "local".to_owned(),
        file: folder.path().join("profiles.toml"),
        organization: organization.clone(),
        me: None,
        messaging: url(suite.messaging).map_err(failed)?,
        eligibility: url(suite.eligibility).map_err(failed)?,
        notification: url(suite.notification).map_err(failed)?,
        tokens: TokenSource::Folder(folder.path().to_owned()),
        tls: ClientTls::default(),
    };
    Ok(Context {
        profile,
        organization,
        clock: Clock::system(),
        paint: Paint(false),
        progress: std::io::stderr().is_terminal(),
        json: false,
    })
}

/// The body of the profile of a suite.
pub fn profile_of(folder: &Folder, suite: &Suite, organization: Option<&OrganizationId>) -> String {
    let organization = organization.map_or_else(String::new, |organization| {
        format!("organization = {}\n", quoted(organization.as_str()))
    });
    format!(
        "# Written by `carepost run`, and kept up to date by it.\n{organization}messaging = \"http://{}\"\n\
         eligibility = \"http://{}\"\nnotification = \"http://{}\"\ndata = {}\n",
        suite.messaging,
        suite.eligibility,
        suite.notification,
        quoted(&folder.path().display().to_string()),
    )
}
