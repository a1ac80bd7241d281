//! The audit trail of a service: who did or saw what, on whose behalf, from where, when, and how it ended.
//!
//! A change writes its [`Record`] in its own transaction ([`insert`]). What was read, and what was refused, goes through a
//! [`Trail`] to a [`Writer`], which writes what has gathered at once; whoever reads waits for that. A [`Sealer`] chains the new
//! records of each organization every second by hashes, so that changes do not wait for each other. [`verify()`] finds what was
//! changed, removed or moved since; [`Export`] gives a span of it.
//!
//! Records hold ids and words of the program alone: never what somebody wrote, and nobody's name or address.

mod check;
mod export;
mod hash;
mod lines;
mod occasion;
mod record;
mod refusals;
pub mod schema;
mod sealer;
mod store;
mod subject;
mod trail;
mod verify;
mod writer;

pub use export::{Export, Span};
pub use hash::{Hash, NoHash};
pub use lines::CSV_HEADER;
pub use occasion::{Occasion, Told};
pub use record::{Kept, Place, Record, Who};
pub use sealer::{Sealed, Sealer};
pub use store::insert;
pub use subject::{MOST_SUBJECTS, Subject};
pub use trail::{Trail, Unrecorded};
pub use verify::{Anchor, Chain, Fault, Report, Scope, verify};
pub use writer::Writer;
