//! The RPCs of portal users: Put, Get, List and Delete.

use carepost_identity::{ChartId, PortalUserId};
use carepost_proto::eligibility::v1::{
    DeletePortalUserRequest, DeletePortalUserResponse, GetPortalUserRequest, GetPortalUserResponse,
    ListPortalUsersRequest, ListPortalUsersResponse, PutPortalUserRequest, PutPortalUserResponse,
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
    store::PortalUserFilter,
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
    note(caller, RecordKind::PortalUser, id.as_str());
    let found = directory.store.portal_user(&caller.organization, &id).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let found = found.ok_or_else(|| not_found("portal user"))?;
    Ok(GetPortalUserResponse {
        record: Some(convert::portal_user_record(found)),
    })
}

pub(super) async fn list(
    directory: &Directory,
    caller: &Caller,
    request: ListPortalUsersRequest,
) -> Result<ListPortalUsersResponse, Status> {
    let mut violations = Violations::default();
    let filter = PortalUserFilter {
        status: list::word(&mut violations, "status", request.status, convert::account_status),
        chart: list::id(&mut violations, "chart_id", request.chart_id, ChartId::parse),
    };
    let filters = [
        filter
            .status
            .map(|status| status.as_str().to_owned())
            .unwrap_or_default(),
        filter.chart.as_ref().map(ToString::to_string).unwrap_or_default(),
    ];
    let asked = list::Asked {
        size: request.page_size,
        token: request.page_token,
        show_deleted: request.show_deleted,
    };
    let listing = Listing::parse(
        &mut violations,
        &caller.organization,
        "ListPortalUsers",
        asked,
        &filters,
    );
    let listing = violations.finish(listing)?;
    let found = directory
        .store
        .portal_users(&caller.organization, listing.page(), &filter)
        .await;
    let found = found.map_err(|error| status::of_store(&error))?;
    note_all(caller, RecordKind::PortalUser, &found);
    let (portal_users, next_page_token) = listing.answer(found, convert::portal_user_record);
    Ok(ListPortalUsersResponse {
        portal_users,
        next_page_token,
    })
}

pub(super) async fn delete(
    directory: &Directory,
    caller: &Caller,
    request: DeletePortalUserRequest,
) -> Result<DeletePortalUserResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.take("portal_user_id", PortalUserId::parse(request.portal_user_id));
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (id, version) = violations.finish(id.zip(version))?;
    let written = directory
        .delete(caller, RecordKind::PortalUser, id.as_str(), version)
        .await?;
    Ok(DeletePortalUserResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}
