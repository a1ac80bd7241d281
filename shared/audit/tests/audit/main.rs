//! The trail on both databases.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod chain;
mod keeping;
mod privileges;
mod support;
mod writing;
