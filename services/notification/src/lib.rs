//! The notification service: one email for each message to a portal user.
//!
//! `inbox` takes the event that a message was sent and records one delivery for each portal recipient. `mail` claims the
//! deliveries that are due, asks eligibility for address and brand, renders, sends, and records the outcome. `rpc` shows
//! the ledger. What all of them decide is in `domain`, what they keep goes through `store`.

use std::process::ExitCode;

use carepost_notification_migration::Migrator;
use carepost_runtime::{
    command::{Arguments, Command, report_faults},
    process::{self, Process},
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
    let file = arguments.config.as_deref();
    if arguments.command == Command::Migrate {
        return process::migrate::<Migrator>("notification", settings::DEFAULTS, file);
    }
    let settings = match Settings::load(file) {
        Ok(settings) => settings,
        Err(faults) => return report_faults(&faults),
    };
    if arguments.command == Command::CheckConfig {
        return ExitCode::SUCCESS;
    }
    let telemetry = settings.telemetry.clone();
    Process::new("notification", &telemetry).serve(settings.server.grace, |life| async move {
        app::start(settings, life).await?;
        Ok(())
    })
}
