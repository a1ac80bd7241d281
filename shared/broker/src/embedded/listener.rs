//! A listener in the process that has the broker's file.

use std::path::Path;

use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

use super::file::BrokerFile;
use crate::{
    error::BrokerError,
    listener::{Ear, Missed},
    settings::BrokerSettings,
};

/// Listens until `stop`. All publishers and listeners of the process share the file, so this hears all that is published.
pub(crate) async fn listen(
    (path, broker): (&Path, &BrokerSettings),
    ear: &Ear,
    stop: &CancellationToken,
) -> Result<(), BrokerError> {
    let file = tokio::select! {
        file = BrokerFile::open(path, broker.connect_timeout, broker.confirm_timeout) => file?,
        () = stop.cancelled() => return Ok(()),
    };
    let mut published = file.listen();
    ear.missed(Missed::Connected);
    loop {
        let next = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            next = published.recv() => next,
        };
        match next {
            Ok(event) => ear.hears(Some(event.kind), &event.payload),
            Err(RecvError::Lagged(_)) => ear.missed(Missed::Lagged),
            // The sender is in the file, which this keeps.
            Err(RecvError::Closed) => return Err(BrokerError::Unsubscribed),
        }
    }
}
