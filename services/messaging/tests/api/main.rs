//! The messaging service through its API, on a real PostgreSQL, with an eligibility service that says what a test wants.

mod badge;
mod conversations;
mod denials;
mod fields;
mod requests;
mod support;
