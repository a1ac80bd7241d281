//! Process wiring: what every service needs around its own work, in one place.
//!
//! The wall clock, randomness and the process environment enter the suite here and nowhere else (`clippy.toml` sees to it).

pub mod command;
pub mod database;
pub mod health;
pub mod incoming;
pub mod lifecycle;
pub mod metrics;
pub mod process;
pub mod server;
pub mod settings;
pub mod telemetry;
pub mod tls;

mod clock;
mod database_fault;
mod ids;
mod migrate;
mod schema;
mod turn;

pub use clock::Clock;
pub use database_fault::DatabaseFault;
pub use ids::{Backoff, Ids};
