//! The RPCs of the organization: Put, Get, List and Delete.

use carepost_proto::eligibility::v1::{
    DeleteOrganizationRequest, DeleteOrganizationResponse, GetOrganizationRequest, GetOrganizationResponse,
    ListOrganizationsRequest, ListOrganizationsResponse, PutOrganizationRequest, PutOrganizationResponse,
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
    note(caller, RecordKind::Organization, caller.organization.as_str());
    let found = directory.store.organization(&caller.organization).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let found = found.ok_or_else(|| not_found("organization"))?;
    Ok(GetOrganizationResponse {
        record: Some(convert::organization_record(found)),
    })
}

pub(super) async fn list(
    directory: &Directory,
    caller: &Caller,
    request: ListOrganizationsRequest,
) -> Result<ListOrganizationsResponse, Status> {
    let mut violations = Violations::default();
    let asked = list::Asked {
        size: request.page_size,
        token: request.page_token,
        show_deleted: request.show_deleted,
    };
    let listing = Listing::parse(&mut violations, &caller.organization, "ListOrganizations", asked, &[]);
    let listing = violations.finish(listing)?;
    let found = directory
        .store
        .organizations(&caller.organization, listing.page())
        .await;
    let found = found.map_err(|error| status::of_store(&error))?;
    note_all(caller, RecordKind::Organization, &found);
    let (organizations, next_page_token) = listing.answer(found, convert::organization_record);
    Ok(ListOrganizationsResponse {
        organizations,
        next_page_token,
    })
}

pub(super) async fn delete(
    directory: &Directory,
    caller: &Caller,
    request: DeleteOrganizationRequest,
) -> Result<DeleteOrganizationResponse, Status> {
    let mut violations = Violations::default();
    let version = violations.take("version", EmrVersion::parse(request.version));
    let version = violations.finish(version)?;
    let id = caller.organization.as_str();
    let written = directory.delete(caller, RecordKind::Organization, id, version).await?;
    Ok(DeleteOrganizationResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}
