//! The eligibility service as a process.

use std::process::ExitCode;

use carepost_runtime::command::Arguments;

fn main() -> ExitCode {
    carepost_eligibility::run(&Arguments::read())
}
