//! The notification service from event to email, on a real PostgreSQL, RabbitMQ and SMTP and on the embedded parts, with an
//! eligibility service that says what a test wants.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod addresses;
mod attempts;
mod failing;
mod folder;
mod inbox;
mod ledger;
mod login;
mod metrics;
mod outages;
mod parts;
mod postfix;
mod preferences;
mod preview;
mod process;
mod retry;
mod sending;
mod smtp;
mod stub;
mod support;
mod tls;
