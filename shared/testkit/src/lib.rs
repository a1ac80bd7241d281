//! Support for tests: private PostgreSQL and RabbitMQ, an SMTP server that follows a script, postfix, tokens, directories read from
//! files, and a TCP proxy that can be cut.
//!
//! Functions here panic, with a message that says what is wrong, when the machine does not give what a test needs: such a
//! fault is the environment's, and no test can go on without it. A clock to set is `carepost_runtime::Clock::manual`.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "test support: it asks the real clock and environment, fails loudly, and says so when it installs something"
)]

pub mod authority;
pub mod column;
pub mod directory_file;
pub mod ports;
pub mod postfix;
pub mod proxy;
pub mod servers;
pub mod smtp;
pub mod tokens;
pub mod vectors;

pub use authority::Authority;
pub use column::Column;
pub use directory_file::DirectoryFile;
pub use proxy::TcpProxy;
pub use servers::Servers;
pub use smtp::SmtpServer;
pub use tokens::TokenIssuer;
