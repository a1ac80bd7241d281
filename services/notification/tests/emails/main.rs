//! The notification service from event to email, on a real PostgreSQL, RabbitMQ and SMTP, with an eligibility service that
//! says what a test wants.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod failing;
mod inbox;
mod ledger;
mod outages;
mod process;
mod sending;
mod stub;
mod support;
mod tls;
