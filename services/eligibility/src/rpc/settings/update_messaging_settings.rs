//! `UpdateMessagingSettings`: changes whether messaging is on at a place, and how.

use carepost_proto::eligibility::v1::{UpdateMessagingSettingsRequest, UpdateMessagingSettingsResponse};
use carepost_rpc::{Caller, Violations};
use tonic::Status;

use super::{Administration, convert, etag, told};
use crate::{
    domain::directory::RecordKind,
    store::{Chosen, subject},
};

pub(super) async fn handle(
    administration: &Administration,
    caller: &Caller,
    request: UpdateMessagingSettingsRequest,
) -> Result<UpdateMessagingSettingsResponse, Status> {
    let mut violations = Violations::default();
    let location = convert::place(&mut violations, "location_id", request.location_id);
    let setting = match request.settings {
        Some(sent) => convert::messaging(&mut violations, "settings", sent).map(Some),
        None if location == Some(None) => {
            violations.add("settings", "is required for the organization");
            None
        }
        None => Some(None),
    };
    let etag = etag(&mut violations, request.etag);
    let (location, (setting, etag)) = violations.finish(location.zip(setting.zip(etag)))?;
    let write = administration.write(caller);
    let place = location.as_ref().map(|id| id.as_str()).unwrap_or_default();
    caller
        .occasion
        .note_all(subject(write, RecordKind::MessagingSettings, place));
    let chosen = Chosen {
        location: location.as_ref(),
        setting,
        etag,
    };
    let held = administration.store.update_messaging_settings(write, chosen).await;
    let held = told(held)?;
    Ok(UpdateMessagingSettingsResponse {
        settings: held.set.map(convert::messaging_message),
        effective: Some(convert::messaging_message(held.effective)),
        etag: held.etag.into(),
    })
}
