//! The `carepost` command from outside: what it prints, and what it ends with.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up fails loudly"
)]

mod audit;
mod bad_input;
mod deadletters;
mod deliveries;
mod demo;
mod directory;
mod export_patient;
mod folders;
mod kill;
mod readme;
mod reconcile;
mod settings;
mod support;
mod tls;
mod unanswered;
mod watch;
mod work;
