//! One process at a time.

use std::{
    fs::{File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::time::sleep;

use crate::error::BrokerError;

/// How often a lock is asked for before it counts as somebody else's: a process that was just killed may not have lost it yet.
const TRIES: u32 = 25;
const PAUSE: Duration = Duration::from_millis(20);

/// Takes the lock of a broker's file, which lasts as long as what is returned, and no longer than the process.
pub(super) async fn take(path: &Path) -> Result<File, BrokerError> {
    let fault = |error: io::Error| BrokerError::File(path.to_owned(), error.kind());
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let mut options = File::options();
    let lock = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(PathBuf::from(name));
    let lock = lock.map_err(fault)?;
    for _ in 0..TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => sleep(PAUSE).await,
            Err(TryLockError::Error(error)) => return Err(fault(error)),
        }
    }
    Err(BrokerError::InUse(path.to_owned()))
}

/// The one name of a file, which need not be there yet.
pub(super) fn canonical(path: &Path) -> Result<PathBuf, BrokerError> {
    let found = match (path.canonicalize(), path.parent(), path.file_name()) {
        (Err(error), Some(folder), Some(name)) if error.kind() == io::ErrorKind::NotFound => {
            folder.canonicalize().map(|folder| folder.join(name))
        }
        (found, _, _) => found,
    };
    found.map_err(|error| BrokerError::File(path.to_owned(), error.kind()))
}
