//! How this service refuses.

use std::time::Duration;

use carepost_rpc::status::{internal, unavailable};
use carepost_runtime::DatabaseFault;
use tonic::Status;

use crate::store::StoreError;

const RETRY: Duration = Duration::from_secs(1);

/// The store did not do what it was asked.
pub(super) fn of_store(error: &StoreError) -> Status {
    match error {
        StoreError::Database(DatabaseFault::Unavailable) => unavailable("database", RETRY),
        error => internal(error),
    }
}
