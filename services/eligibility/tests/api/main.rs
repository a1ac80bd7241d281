//! The eligibility service through its API, on a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod email;
mod import;
mod lists;
mod outage;
mod questions;
mod records;
mod support;
mod vectors;
