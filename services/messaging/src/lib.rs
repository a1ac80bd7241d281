//! The messaging service: conversations and mailboxes.

pub mod app;
pub mod domain;
pub mod eligibility;
pub mod rpc;
pub mod settings;
pub mod store;
