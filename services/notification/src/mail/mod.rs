//! Sends what is due: claims it, asks eligibility, renders, hands it to the mail server or writes it into
//! the folder, records the outcome.

mod address;
mod attempt;
mod connection;
mod folder;
mod mailer;
mod message;
mod place;
mod preview;
mod recipient;
mod settings;
mod smtp;
mod template;
mod transport;

pub use mailer::Mailer;
pub use preview::preview;
pub use recipient::Recipients;
pub use settings::MailSettings;
pub use transport::Transport;
