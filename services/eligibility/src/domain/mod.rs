//! The rules: pure. No waiting, clock, randomness, environment or I/O.

pub mod decision;
pub mod directory;
pub mod version;
