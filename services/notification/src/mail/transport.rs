//! The way that emails go: to a mail server, or into a folder.

use std::io;

use lettre::Address;
use uuid::Uuid;

use super::{
    folder::Folder,
    place::Place,
    settings::MailSettings,
    smtp::{Smtp, SmtpSetupError},
};
use crate::domain::Outcome;

/// Why there is no way for emails.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The mail server cannot be talked to as set.
    #[error(transparent)]
    Smtp(#[from] SmtpSetupError),
    /// The folder cannot be made or read.
    #[error("mail.url: the folder for emails cannot be used: {0}")]
    Folder(#[from] io::Error),
    /// There is no address to send from.
    #[error("mail.from is missing")]
    From,
}

/// The way that emails go.
pub struct Transport {
    from: Address,
    way: Way,
}

enum Way {
    Smtp(Box<Smtp>),
    Folder(Folder),
}

impl Transport {
    /// Prepares it. A mail server is connected to when there is something to send, a folder is made at once.
    ///
    /// # Errors
    /// If the root certificates cannot be read, or the folder cannot be made or read.
    pub fn new(settings: &MailSettings) -> Result<Self, TransportError> {
        let from = settings.from.clone().ok_or(TransportError::From)?;
        let way = match &settings.place {
            Place::Server(server) => {
                let smtp = Smtp::new(server, &from, settings.timeout, settings.concurrency)?;
                Way::Smtp(Box::new(smtp))
            }
            Place::Folder(path) => Way::Folder(Folder::new(path, settings.timeout, settings.concurrency)?),
        };
        Ok(Self { from, way })
    }

    /// The address that emails come from.
    #[must_use]
    pub fn from(&self) -> &Address {
        &self.from
    }

    /// Sends the email of a delivery.
    pub async fn send(&self, delivery: Uuid, to: &Address, email: String) -> Outcome {
        match &self.way {
            Way::Smtp(smtp) => smtp.send(to, &email).await,
            Way::Folder(folder) => folder.send(delivery, email).await,
        }
    }

    /// Closes the connections that nobody needed for a while.
    pub async fn close_idle(&self) {
        if let Way::Smtp(smtp) = &self.way {
            smtp.close_idle().await;
        }
    }

    /// Closes all connections that are not in use.
    pub async fn close_all(&self) {
        if let Way::Smtp(smtp) = &self.way {
            smtp.close_all().await;
        }
    }
}
