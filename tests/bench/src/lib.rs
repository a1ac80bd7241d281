//! The load generator, and the raw limits that it is held against.
