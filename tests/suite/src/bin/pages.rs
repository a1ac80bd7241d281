//! Writes a page that is made from the protos or the settings to standard output: `errors`, `configuration` or `api`. `make docs`
//! puts each in its place.

use std::process::ExitCode;

use carepost_suite::{api_page, configuration_page, errors_page};

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]
fn main() -> ExitCode {
    let page = match std::env::args().nth(1).as_deref() {
        Some("errors") => errors_page::page(),
        Some("configuration") => configuration_page::page(),
        Some("api") => api_page::page(),
        _ => {
            eprintln!("Say which page: errors, configuration or api.");
            return ExitCode::from(2);
        }
    };
    print!("{page}");
    ExitCode::SUCCESS
}
