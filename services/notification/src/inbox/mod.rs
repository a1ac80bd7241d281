//! Takes events, and records what follows from them.

mod decode;
mod handler;

pub use handler::Inbox;
