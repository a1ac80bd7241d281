//! The notification service as a process.

use std::process::ExitCode;

use carepost_runtime::command::Arguments;

fn main() -> ExitCode {
    carepost_notification::run(&Arguments::read())
}
