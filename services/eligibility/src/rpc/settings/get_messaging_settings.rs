//! `GetMessagingSettings`: whether messaging is on at a place, and how.

use carepost_proto::eligibility::v1::{GetMessagingSettingsRequest, GetMessagingSettingsResponse};
use carepost_rpc::{Caller, Violations};
use tonic::Status;

use super::{Administration, convert, told};

pub(super) async fn handle(
    administration: &Administration,
    caller: &Caller,
    request: GetMessagingSettingsRequest,
) -> Result<GetMessagingSettingsResponse, Status> {
    let mut violations = Violations::default();
    let location = convert::place(&mut violations, "location_id", request.location_id);
    let location = violations.finish(location)?;
    let held = administration
        .store
        .messaging_settings(&caller.organization, &caller.actor, location.as_ref())
        .await;
    let held = told(held)?;
    Ok(GetMessagingSettingsResponse {
        settings: held.set.map(convert::messaging_message),
        effective: Some(convert::messaging_message(held.effective)),
        etag: held.etag.into(),
    })
}
