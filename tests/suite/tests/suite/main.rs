//! What the suite promises, seen from outside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod authorization;
mod commands;
mod crashes;
mod documents;
mod imports;
mod layering;
mod outages;
mod privacy;
mod settings;
mod story;
mod traces;
mod traffic;
