//! What surrounds every RPC, over real connections.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod authority;
mod jwks_url;
mod tls;
