//! The command line of a service, the same for all three.

use std::{path::PathBuf, process::ExitCode};

use crate::settings::Faults;

/// What a service is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::Subcommand)]
pub enum Command {
    /// Serve until told to stop (SIGTERM or Ctrl-C).
    Serve,
    /// Bring the database to this version's schema, then end.
    Migrate,
    /// Read and check the settings, then end: 0 if they are usable, 78 if not.
    CheckConfig,
}

/// The command line of a service.
///
/// Every setting can also be given in the environment: CAREPOST_DATABASE__URL is the setting `database.url`.
#[derive(Clone, Debug, clap::Parser)]
#[command(version, about = None)]
pub struct Arguments {
    /// A file of settings (TOML) over the built-in defaults; the environment is over both.
    #[arg(long, value_name = "FILE", global = true)]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

impl Arguments {
    /// Reads the command line of this process. Ends it after `--help`, `--version` or a mistake (exit code 2).
    #[must_use]
    pub fn read() -> Self {
        clap::Parser::parse()
    }
}

/// The exit code for settings that are not usable: `EX_CONFIG` of sysexits.h.
pub const EXIT_SETTINGS: u8 = 78;

/// Tells all faults on standard error.
#[allow(clippy::print_stderr, reason = "there are no logs before there are settings")]
#[must_use]
pub fn report_faults(faults: &Faults) -> ExitCode {
    eprintln!("{faults}");
    ExitCode::from(EXIT_SETTINGS)
}
