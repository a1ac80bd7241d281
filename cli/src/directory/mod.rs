//! Directories in files: staff, charts and portal users of one organization, with the settings and brands to begin with.

mod file;
mod records;
pub mod single;

pub use file::DirectoryFile;
pub use records::{BadRecord, Records, name};
