//! `PutPortalUser` and `GetPortalUser`.

use carepost_identity::PortalUserId;
use carepost_proto::eligibility::v1::{
    GetPortalUserRequest, GetPortalUserResponse, PutPortalUserRequest, PutPortalUserResponse,
};
use carepost_rpc::{Caller, Violations, status::not_found};
use tonic::Status;

use super::{Directory, status};
use crate::{
    domain::directory::{EmrVersion, Record},
    rpc::convert,
};

pub(super) async fn put(
    directory: &Directory,
    caller: &Caller,
    request: PutPortalUserRequest,
) -> Result<PutPortalUserResponse, Status> {
    let mut violations = Violations::default();
    let record = convert::portal_user(&mut violations, request.portal_user);
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (record, version) = violations.finish(record.zip(version))?;
    let written = directory.put(caller, Record::PortalUser(record), version).await?;
    Ok(PutPortalUserResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}

pub(super) async fn get(
    directory: &Directory,
    caller: &Caller,
    request: GetPortalUserRequest,
) -> Result<GetPortalUserResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.take("portal_user_id", PortalUserId::parse(request.portal_user_id));
    let id = violations.finish(id)?;
    let found = directory.store.portal_user(&caller.organization, &id).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let (record, version) = found.ok_or_else(|| not_found("portal user"))?;
    Ok(GetPortalUserResponse {
        portal_user: Some(convert::portal_user_message(record)),
        version: Some(convert::version(version)),
    })
}
