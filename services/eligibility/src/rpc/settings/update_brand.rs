//! `UpdateBrand`: changes under which brand emails of a place go out.

use carepost_proto::eligibility::v1::{UpdateBrandRequest, UpdateBrandResponse};
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
    request: UpdateBrandRequest,
) -> Result<UpdateBrandResponse, Status> {
    let mut violations = Violations::default();
    let location = convert::place(&mut violations, "location_id", request.location_id);
    let setting = match request.brand {
        Some(sent) => convert::brand(&mut violations, "brand", sent).map(Some),
        None if location == Some(None) => {
            violations.add("brand", "is required for the organization");
            None
        }
        None => Some(None),
    };
    let etag = etag(&mut violations, request.etag);
    let (location, (setting, etag)) = violations.finish(location.zip(setting.zip(etag)))?;
    let write = administration.write(caller);
    let place = location.as_ref().map(|id| id.as_str()).unwrap_or_default();
    caller.occasion.note_all(subject(write, RecordKind::Brand, place));
    let chosen = Chosen {
        location: location.as_ref(),
        setting,
        etag,
    };
    let held = administration.store.update_brand(write, chosen).await;
    let held = told(held)?;
    Ok(UpdateBrandResponse {
        brand: held.set.map(convert::brand_message),
        effective: Some(convert::brand_message(held.effective)),
        etag: held.etag.into(),
    })
}
