//! `UpdatePreferences`: what a member of staff wants to be told by email (N2).

use carepost_proto::notification::v1::{UpdatePreferencesRequest, UpdatePreferencesResponse};
use carepost_rpc::Caller;
use tonic::Status;

use super::{Notification, get_preferences, staff, status};

pub(super) async fn handle(
    notification: &Notification,
    caller: &Caller,
    request: UpdatePreferencesRequest,
) -> Result<UpdatePreferencesResponse, Status> {
    let staff = staff(caller)?;
    if let Some(wanted) = request.email_on_message {
        let write = notification.write(caller);
        let set = notification.store.set_email_on_message(write, staff, wanted).await;
        set.map_err(|error| status::of_store(&error))?;
    }
    let preferences = get_preferences::read(notification, caller).await?;
    Ok(UpdatePreferencesResponse {
        preferences: Some(preferences),
    })
}
