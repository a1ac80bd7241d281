//! What the suite promises, seen from outside.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod audit;
mod authorization;
mod commands;
mod compose;
mod crashes;
mod dice;
mod documents;
mod encrypted;
mod hospital;
mod imports;
mod interleavings;
mod interleavings_replica;
mod interleavings_world;
mod layering;
mod lifecycle;
mod limits;
mod logs;
mod mail_chaos;
mod metrics;
mod outages;
mod privacy;
mod real_mail;
mod reasons;
mod reply_ability;
mod restore;
mod rolling;
mod rules;
mod settings;
mod story;
mod traces;
mod traffic;
mod watch;
