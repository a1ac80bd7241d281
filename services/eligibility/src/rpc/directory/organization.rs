//! `PutOrganization` and `GetOrganization`.

use carepost_proto::eligibility::v1::{
    GetOrganizationRequest, GetOrganizationResponse, PutOrganizationRequest, PutOrganizationResponse,
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
    request: PutOrganizationRequest,
) -> Result<PutOrganizationResponse, Status> {
    let mut violations = Violations::default();
    let record = convert::organization(&mut violations, &caller.organization, request.organization);
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (record, version) = violations.finish(record.zip(version))?;
    let written = directory.put(caller, Record::Organization(record), version).await?;
    Ok(PutOrganizationResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}

pub(super) async fn get(
    directory: &Directory,
    caller: &Caller,
    GetOrganizationRequest {}: GetOrganizationRequest,
) -> Result<GetOrganizationResponse, Status> {
    let found = directory.store.organization(&caller.organization).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let (record, version) = found.ok_or_else(|| not_found("organization"))?;
    Ok(GetOrganizationResponse {
        organization: Some(convert::organization_message(record)),
        version: Some(convert::version(version)),
    })
}
