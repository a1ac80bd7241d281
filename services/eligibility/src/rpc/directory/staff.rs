//! The RPCs of staff: Put, Get, List and Delete.

use carepost_identity::{LocationId, StaffId};
use carepost_proto::eligibility::v1::{
    DeleteStaffRequest, DeleteStaffResponse, GetStaffRequest, GetStaffResponse, ListStaffRequest, ListStaffResponse,
    PutStaffRequest, PutStaffResponse,
};
use carepost_rpc::{Caller, Violations, status::not_found};
use tonic::Status;

use super::{
    Directory,
    list::{self, Listing},
    note, note_all, status,
};
use crate::{
    domain::directory::{EmrVersion, Record, RecordKind},
    rpc::convert,
    store::StaffFilter,
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
    note(caller, RecordKind::Staff, id.as_str());
    let found = directory.store.staff(&caller.organization, &id).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let found = found.ok_or_else(|| not_found("member of staff"))?;
    Ok(GetStaffResponse {
        record: Some(convert::staff_record(found)),
    })
}

pub(super) async fn list(
    directory: &Directory,
    caller: &Caller,
    request: ListStaffRequest,
) -> Result<ListStaffResponse, Status> {
    let mut violations = Violations::default();
    let filter = StaffFilter {
        active: request.active,
        role: list::word(&mut violations, "role", request.role, convert::role),
        location: list::id(&mut violations, "location_id", request.location_id, LocationId::parse),
    };
    let filters = [
        filter.active.map(|active| active.to_string()).unwrap_or_default(),
        filter.role.map(|role| role.as_str().to_owned()).unwrap_or_default(),
        filter.location.as_ref().map(ToString::to_string).unwrap_or_default(),
    ];
    let asked = list::Asked {
        size: request.page_size,
        token: request.page_token,
        show_deleted: request.show_deleted,
    };
    let listing = Listing::parse(&mut violations, &caller.organization, "ListStaff", asked, &filters);
    let listing = violations.finish(listing)?;
    let found = directory
        .store
        .list_staff(&caller.organization, listing.page(), &filter)
        .await;
    let found = found.map_err(|error| status::of_store(&error))?;
    note_all(caller, RecordKind::Staff, &found);
    let (staff, next_page_token) = listing.answer(found, convert::staff_record);
    Ok(ListStaffResponse { staff, next_page_token })
}

pub(super) async fn delete(
    directory: &Directory,
    caller: &Caller,
    request: DeleteStaffRequest,
) -> Result<DeleteStaffResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.take("staff_id", StaffId::parse(request.staff_id));
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (id, version) = violations.finish(id.zip(version))?;
    let written = directory
        .delete(caller, RecordKind::Staff, id.as_str(), version)
        .await?;
    Ok(DeleteStaffResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}
