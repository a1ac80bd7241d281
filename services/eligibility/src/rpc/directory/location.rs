//! `PutLocation` and `GetLocation`.

use carepost_identity::LocationId;
use carepost_proto::eligibility::v1::{
    GetLocationRequest, GetLocationResponse, PutLocationRequest, PutLocationResponse,
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
    request: PutLocationRequest,
) -> Result<PutLocationResponse, Status> {
    let mut violations = Violations::default();
    let record = convert::location(&mut violations, request.location);
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (record, version) = violations.finish(record.zip(version))?;
    let written = directory.put(caller, Record::Location(record), version).await?;
    Ok(PutLocationResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}

pub(super) async fn get(
    directory: &Directory,
    caller: &Caller,
    request: GetLocationRequest,
) -> Result<GetLocationResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.take("location_id", LocationId::parse(request.location_id));
    let id = violations.finish(id)?;
    let found = directory.store.location(&caller.organization, &id).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let (record, version) = found.ok_or_else(|| not_found("location"))?;
    Ok(GetLocationResponse {
        location: Some(convert::location_message(record)),
        version: Some(convert::version(version)),
    })
}
