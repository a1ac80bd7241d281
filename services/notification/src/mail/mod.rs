//! Sends what is due: claims it, asks eligibility, renders, talks to the mail server, records the outcome.

mod attempt;
mod connection;
mod mailer;
mod message;
mod recipient;
mod settings;
mod smtp;
mod template;

pub use mailer::Mailer;
pub use recipient::Recipients;
pub use settings::MailSettings;
pub use smtp::Smtp;
