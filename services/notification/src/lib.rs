//! The notification service: one email for each message to a portal user.
//!
//! `inbox` takes the event that a message was sent and records one delivery for each portal recipient. `mail` claims the
//! deliveries that are due, asks eligibility for address and brand, renders, sends, and records the outcome. `rpc` shows
//! the ledger. What all of them decide is in `domain`, what they keep goes through `store`.

use std::process::ExitCode;

use carepost_notification_migration::Migrator;
use carepost_runtime::{
    command::{Arguments, Command, report_faults},
    database,
    process::{Fatal, Process},
};

use crate::settings::Settings;

pub mod app;
pub mod settings;

mod counts;
mod domain;
mod inbox;
mod mail;
mod rpc;
mod store;

/// The service as a process, from its command line to its exit code.
#[must_use]
pub fn run(arguments: &Arguments) -> ExitCode {
    let settings = match Settings::load(arguments.config.as_deref()) {
        Ok(settings) => settings,
        Err(faults) => return report_faults(&faults),
    };
    let telemetry = settings.telemetry.clone();
    let process = Process::new("notification", &telemetry);
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
