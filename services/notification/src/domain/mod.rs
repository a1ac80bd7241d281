//! What the service decides, without I/O, clock or randomness.

mod attempt;
mod delivery;
mod email;
mod event;
mod smtp;

pub use attempt::{Answer, Attempt, Outcome, Settled, settle};
pub use delivery::{Delivery, DeliveryState, SuppressionReason};
pub use email::{Email, PortalLink};
pub use event::{MessageSent, NewDelivery, message_id_header};
pub use smtp::{Ending, Step, meaning};
