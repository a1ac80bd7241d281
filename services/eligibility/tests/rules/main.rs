//! The decision, over directories in memory: the cases of the vectors, and what taking something away can never do.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod memory;
mod monotony;
mod vectors;
