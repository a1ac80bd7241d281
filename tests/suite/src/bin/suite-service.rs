//! Any of the three services, by name, exactly as its own binary runs it: so that the suite's tests find the very code that
//! they were built with.

use std::process::ExitCode;

use carepost_runtime::command::Arguments;
use clap::Parser as _;

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let service = words.next().unwrap_or_default();
    let arguments = Arguments::parse_from([service.clone()].into_iter().chain(words));
    match service.as_str() {
        "eligibility" => carepost_eligibility::run(&arguments),
        "messaging" => carepost_messaging::run(&arguments),
        "notification" => carepost_notification::run(&arguments),
        _ => ExitCode::from(2),
    }
}
