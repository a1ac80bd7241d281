//! The `carepost` command: the whole suite in one process, and the client of any deployment.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command speaks on standard output, and of its failures on standard error"
)]

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use carepost_runtime::Clock;
use clap::Parser;

use crate::{
    args::{Cli, ClientCommand, Command, Globals},
    client::Context,
    errors::{Exit, Failure},
    render::{Paint, Report},
};

mod args;
mod client;
mod commands;
mod credentials;
mod demo;
mod directory;
mod errors;
mod keys;
mod profile;
mod refusals;
mod render;
mod run;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let globals = cli.globals;
    // Somebody may have installed one before, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let done = match cli.command {
        Command::Run(args) => block_on(run::run(&globals, &args)),
        Command::Demo(args) => block_on(demo::run(&globals, &args)),
        Command::Deadletters(args) => block_on(commands::deadletters::run(&globals, paint(&globals), args)),
        Command::Audit(args) => block_on(commands::audit::run(&globals, paint(&globals), args)),
        Command::ExportPatient(args) => block_on(commands::export_patient::run(&globals, &args)),
        Command::Client(command) => block_on(client(&globals, command)),
    };
    ExitCode::from(match done {
        Ok(report) => tell(&globals, &report),
        Err(failure) => complain(&globals, &failure),
    } as u8)
}

fn block_on(work: impl Future<Output = Result<Report, Failure>>) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let failed = |_| {
        Failure::new(
            Exit::Failed,
            "RUNTIME",
            "No threads can be started",
            "Free some memory and try again",
        )
    };
    runtime.map_err(failed)?.block_on(work)
}

async fn client(globals: &Globals, command: ClientCommand) -> Result<Report, Failure> {
    commands::perform(&context(globals)?, command).await
}

/// The profile, and how to speak.
fn context(globals: &Globals) -> Result<Context, Failure> {
    let file = globals.profiles.clone().map_or_else(profile::default_file, Ok)?;
    let profile = profile::read(&file, &globals.profile)?;
    Ok(Context {
        organization: globals.organization.clone().or_else(|| profile.organization.clone()),
        profile,
        clock: Clock::system(),
        paint: paint(globals),
        progress: std::io::stderr().is_terminal() && !globals.json,
        json: globals.json,
    })
}

/// Colours, where they can be seen and are wanted.
fn paint(globals: &Globals) -> Paint {
    Paint(std::io::stdout().is_terminal() && !globals.no_color && !globals.json)
}

fn tell(globals: &Globals, report: &Report) -> Exit {
    let text = if globals.json {
        report.json.to_string()
    } else {
        report.text.clone()
    };
    // Who reads may have seen enough: `carepost inbox | head -1`.
    let nothing = text.is_empty() || globals.json && report.json.is_null();
    if !nothing && writeln!(std::io::stdout(), "{text}").is_err() {
        return Exit::Failed;
    }
    report.exit
}

fn complain(globals: &Globals, failure: &Failure) -> Exit {
    if globals.json {
        eprintln!("{}", failure.json());
    } else {
        eprintln!("carepost: {failure}");
    }
    failure.exit
}
