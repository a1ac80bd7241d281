//! `PutStaff` and `GetStaff`.

use carepost_identity::StaffId;
use carepost_proto::eligibility::v1::{GetStaffRequest, GetStaffResponse, PutStaffRequest, PutStaffResponse};
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
    request: PutStaffRequest,
) -> Result<PutStaffResponse, Status> {
    let mut violations = Violations::default();
    let record = convert::staff(&mut violations, request.staff);
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (record, version) = violations.finish(record.zip(version))?;
    let written = directory.put(caller, Record::Staff(record), version).await?;
    Ok(PutStaffResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}

pub(super) async fn get(
    directory: &Directory,
    caller: &Caller,
    request: GetStaffRequest,
) -> Result<GetStaffResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.take("staff_id", StaffId::parse(request.staff_id));
    let id = violations.finish(id)?;
    let found = directory.store.staff(&caller.organization, &id).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let (record, version) = found.ok_or_else(|| not_found("member of staff"))?;
    Ok(GetStaffResponse {
        staff: Some(convert::staff_message(record)),
        version: Some(convert::version(version)),
    })
}
