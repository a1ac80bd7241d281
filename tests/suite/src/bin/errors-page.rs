//! Writes docs/errors.md to standard output: `make docs` puts it in its place.

#[allow(clippy::print_stdout, reason = "that is what it is for")]
fn main() {
    print!("{}", carepost_suite::errors_page::page());
}
