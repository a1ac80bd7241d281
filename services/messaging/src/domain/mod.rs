//! What a message is, who gets it, and what a send writes: pure. No I/O, no clock, no randomness.

mod compose;
mod denial;
mod mark;
mod names;
mod parties;
mod redact;
mod reply_ability;
mod search;
mod send;
mod text;
mod unanswered;
mod view;

pub use compose::Notice;
pub use denial::{ChartAccess, Decision, Denial};
pub use mark::{Mark, Side};
pub use names::{Named, Names};
pub use parties::{Parties, PartyFault};
pub use redact::{told_to_portal_user, told_to_staff_among_staff, told_to_staff_replying, told_to_staff_starting};
pub use reply_ability::{ReplyAbility, Standing, told_to_who_replies};
pub use search::{QueryFault, SearchQuery, Snippet, SnippetSource};
pub use send::{Made, MissingName, NewConversation, NewMessage, Start, Thread};
pub use text::{Body, Limits, Subject, TextFault};
pub use unanswered::{Activity, Bands, Place, Unanswered, Waiting, any_reply_of};
pub use view::{Answered, Conversation, Kind, Mailbox, Message, Participant, Preview, Regarding};
