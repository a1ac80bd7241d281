//! The messaging service: conversations and mailboxes.

use std::process::ExitCode;

use carepost_messaging_migration::Migrator;
use carepost_runtime::{
    command::{Arguments, Command, report_faults},
    process::{self, Process},
};

use crate::settings::Settings;

pub mod app;
pub mod domain;
pub mod eligibility;
mod gauges;
pub mod inbox;
pub mod rpc;
pub mod settings;
pub mod store;
pub mod watch;

/// The service as a process, from its command line to its exit code.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let file = arguments.config.as_deref();
    if arguments.command == Command::Migrate {
        return process::migrate::<Migrator>("messaging", settings::DEFAULTS, file);
    }
    let settings = match Settings::load(file) {
        Ok(settings) => settings,
        Err(faults) => return report_faults(&faults),
    };
    if arguments.command == Command::CheckConfig {
        return ExitCode::SUCCESS;
    }
    let telemetry = settings.telemetry.clone();
    Process::new("messaging", &telemetry).serve(settings.server.grace, |life| async move {
        app::start(settings, life).await?;
        Ok(())
    })
}
