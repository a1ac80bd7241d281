//! What surrounds every RPC, over real connections.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod audit;
mod authority;
mod beside;
mod connections;
mod deadlines;
mod jwks_url;
mod overload;
mod raw;
mod served;
mod tls;
mod tokens;
