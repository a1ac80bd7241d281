//! The `carepost` command from outside: what it prints, and what it ends with.

mod bad_input;
mod demo;
mod support;
mod work;
