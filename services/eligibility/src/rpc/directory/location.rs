//! The RPCs of locations: Put, Get, List and Delete.

use carepost_identity::LocationId;
use carepost_proto::eligibility::v1::{
    DeleteLocationRequest, DeleteLocationResponse, GetLocationRequest, GetLocationResponse, ListLocationsRequest,
    ListLocationsResponse, PutLocationRequest, PutLocationResponse,
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
    note(caller, RecordKind::Location, id.as_str());
    let found = directory.store.location(&caller.organization, &id).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let found = found.ok_or_else(|| not_found("location"))?;
    Ok(GetLocationResponse {
        record: Some(convert::location_record(found)),
    })
}

pub(super) async fn list(
    directory: &Directory,
    caller: &Caller,
    request: ListLocationsRequest,
) -> Result<ListLocationsResponse, Status> {
    let mut violations = Violations::default();
    let asked = list::Asked {
        size: request.page_size,
        token: request.page_token,
        show_deleted: request.show_deleted,
    };
    let listing = Listing::parse(&mut violations, &caller.organization, "ListLocations", asked, &[]);
    let listing = violations.finish(listing)?;
    let found = directory.store.locations(&caller.organization, listing.page()).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    note_all(caller, RecordKind::Location, &found);
    let (locations, next_page_token) = listing.answer(found, convert::location_record);
    Ok(ListLocationsResponse {
        locations,
        next_page_token,
    })
}

pub(super) async fn delete(
    directory: &Directory,
    caller: &Caller,
    request: DeleteLocationRequest,
) -> Result<DeleteLocationResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.take("location_id", LocationId::parse(request.location_id));
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (id, version) = violations.finish(id.zip(version))?;
    let written = directory
        .delete(caller, RecordKind::Location, id.as_str(), version)
        .await?;
    Ok(DeleteLocationResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}
