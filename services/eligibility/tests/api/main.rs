//! The eligibility service through its API, on a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod administration;
mod compose;
mod compose_agrees;
mod deletes;
mod directory_lists;
mod email;
mod events;
mod import;
mod lists;
mod migrations;
mod names;
mod outage;
mod questions;
mod reconcile;
mod records;
mod sample;
mod setting_changes;
mod settings;
mod support;
mod vectors;
