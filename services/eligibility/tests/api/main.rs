//! The eligibility service through its API, on a real PostgreSQL.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod administration;
mod brands;
mod compose;
mod compose_agrees;
mod crowded;
mod deleted_decisions;
mod deletes;
mod directory_lists;
mod directory_pages;
mod email;
mod events;
mod import;
mod import_bounds;
mod import_runs;
mod lists;
mod migrations;
mod names;
mod outage;
mod plan;
mod questions;
mod reconcile;
mod records;
mod referred;
mod sample;
mod setting_changes;
mod settings;
mod support;
mod vectors;
mod whole;
