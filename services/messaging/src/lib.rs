//! The messaging service: conversations and mailboxes.

use std::process::ExitCode;

use carepost_messaging_migration::Migrator;
use carepost_runtime::{
    command::{Arguments, Command, report_faults},
    database,
    process::{Fatal, Process},
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
    let settings = match Settings::load(arguments.config.as_deref()) {
        Ok(settings) => settings,
        Err(faults) => return report_faults(&faults),
    };
    let telemetry = settings.telemetry.clone();
    let process = Process::new("messaging", &telemetry);
    match arguments.command {
        Command::CheckConfig => ExitCode::SUCCESS,
        Command::Migrate => process.run_once(async {
            database::migrate::<Migrator>(&settings.database)
                .await
                .map_err(Fatal::from)
        }),
        Command::Serve => process.serve(settings.server.grace, |life| async move {
            app::start(settings, life).await?;
            Ok(())
        }),
    }
}
