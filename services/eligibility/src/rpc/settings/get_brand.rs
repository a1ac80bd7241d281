//! `GetBrand`: under which brand emails of a place go out.

use carepost_proto::eligibility::v1::{GetBrandRequest, GetBrandResponse};
use carepost_rpc::{Caller, Violations};
use tonic::Status;

use super::{Administration, convert, told};

pub(super) async fn handle(
    administration: &Administration,
    caller: &Caller,
    request: GetBrandRequest,
) -> Result<GetBrandResponse, Status> {
    let mut violations = Violations::default();
    let location = convert::place(&mut violations, "location_id", request.location_id);
    let location = violations.finish(location)?;
    let held = administration
        .store
        .brand(&caller.organization, &caller.actor, location.as_ref())
        .await;
    let held = told(held)?;
    Ok(GetBrandResponse {
        brand: held.set.map(convert::brand_message),
        effective: Some(convert::brand_message(held.effective)),
        etag: held.etag.into(),
    })
}
