//! What the service decides, without I/O, clock or randomness.

mod attempt;
mod brand;
mod delivery;
mod email;
mod event;
mod language;
mod link;
mod rate;
mod smtp;

pub use attempt::{Answer, Attempt, Outcome, Settled, given_up, settle};
pub use brand::Brand;
pub use delivery::{AttemptOutcome, AttemptRecord, Delivery, DeliveryState, Retry, SuppressionReason, retry};
pub use email::Email;
pub use event::{MessageSent, NewDelivery, message_id_header};
pub use language::Language;
pub use link::Link;
pub use rate::Rate;
pub use smtp::{Ending, Step, meaning};
