//! The messaging service through its API, on PostgreSQL and on SQLite, with an eligibility service that says what a test
//! wants.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod badge;
mod compose;
mod conversations;
mod denials;
mod export;
mod fields;
mod folders;
mod locks;
mod marks;
mod model;
mod names;
mod paging;
mod recount;
mod replica;
mod reply_ability;
mod requests;
mod round_trips;
mod search;
mod stub;
mod support;
mod sweep;
mod unanswered;
mod watch;
