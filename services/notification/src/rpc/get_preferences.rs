//! `GetPreferences`: what a member of staff wants to be told by email (N2).

use carepost_proto::notification::v1::{GetPreferencesRequest, GetPreferencesResponse, Preferences};
use carepost_rpc::Caller;
use tonic::Status;

use super::{Notification, staff, status};

pub(super) async fn handle(
    notification: &Notification,
    caller: &Caller,
    _: GetPreferencesRequest,
) -> Result<GetPreferencesResponse, Status> {
    let preferences = read(notification, caller).await?;
    Ok(GetPreferencesResponse {
        preferences: Some(preferences),
    })
}

/// The preferences of the caller.
pub(super) async fn read(notification: &Notification, caller: &Caller) -> Result<Preferences, Status> {
    let staff = staff(caller)?;
    let found = notification.store.email_on_message(&caller.organization, staff).await;
    Ok(Preferences {
        email_on_message: found.map_err(|error| status::of_store(&error))?,
    })
}
