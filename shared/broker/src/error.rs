//! Why the broker cannot be used.

use std::{io, path::PathBuf};

use carepost_runtime::{DatabaseFault, tls::TlsError};
use sea_orm::DbErr;

/// Why the broker cannot be used.
#[derive(Clone, Debug, thiserror::Error)]
pub enum BrokerError {
    /// It did not answer in time.
    #[error("the broker did not answer in time")]
    Timeout,
    /// RabbitMQ refused, or the connection broke.
    #[error("the broker cannot be used: {0}")]
    Amqp(#[from] lapin::Error),
    /// The file of authorities to trust cannot be used.
    #[error("the authorities of the broker: {0}")]
    Authorities(TlsError),
    /// RabbitMQ ended a subscription, or a queue is gone.
    #[error("the broker ended the subscription")]
    Unsubscribed,
    /// The name of a queue has more than 255 bytes.
    #[error("the name of the queue is too long")]
    QueueName,
    /// Another process has the embedded broker's file.
    #[error("{} is used by another process", .0.display())]
    InUse(PathBuf),
    /// The embedded broker's file was made by a newer version.
    #[error("{} belongs to a newer version", .0.display())]
    Newer(PathBuf),
    /// The embedded broker's file cannot be opened.
    #[error("{} cannot be opened: {}", .0.display(), .1)]
    File(PathBuf, io::ErrorKind),
    /// The embedded broker's file cannot be read or written.
    #[error("the broker's file cannot be used: {0}")]
    Database(#[from] DatabaseFault),
}

impl From<DbErr> for BrokerError {
    fn from(error: DbErr) -> Self {
        DatabaseFault::from(error).into()
    }
}
