//! The RPCs of charts: Put, Get, List and Delete.

use carepost_identity::{ChartId, LocationId, StaffId};
use carepost_proto::eligibility::v1::{
    DeleteChartRequest, DeleteChartResponse, GetChartRequest, GetChartResponse, ListChartsRequest, ListChartsResponse,
    PutChartRequest, PutChartResponse,
};
use carepost_rpc::{Caller, Violations, status::not_found};
use tonic::Status;

use super::{
    Directory,
    list::{self, Listing},
    note, note_all, status,
};
use crate::{
    domain::directory::{EmrVersion, PatientId, Record, RecordKind},
    rpc::convert,
    store::ChartFilter,
};

pub(super) async fn put(
    directory: &Directory,
    caller: &Caller,
    request: PutChartRequest,
) -> Result<PutChartResponse, Status> {
    let mut violations = Violations::default();
    let record = convert::chart(&mut violations, request.chart);
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (record, version) = violations.finish(record.zip(version))?;
    let written = directory.put(caller, Record::Chart(record), version).await?;
    Ok(PutChartResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}

pub(super) async fn get(
    directory: &Directory,
    caller: &Caller,
    request: GetChartRequest,
) -> Result<GetChartResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.take("chart_id", ChartId::parse(request.chart_id));
    let id = violations.finish(id)?;
    note(caller, RecordKind::Chart, id.as_str());
    let found = directory.store.chart(&caller.organization, &id).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let found = found.ok_or_else(|| not_found("chart"))?;
    Ok(GetChartResponse {
        record: Some(convert::chart_record(found)),
    })
}

pub(super) async fn list(
    directory: &Directory,
    caller: &Caller,
    request: ListChartsRequest,
) -> Result<ListChartsResponse, Status> {
    let mut violations = Violations::default();
    let filter = ChartFilter {
        location: list::id(&mut violations, "location_id", request.location_id, LocationId::parse),
        patient: list::id(&mut violations, "patient_id", request.patient_id, PatientId::parse),
        care_team_member: list::id(
            &mut violations,
            "care_team_staff_id",
            request.care_team_staff_id,
            StaffId::parse,
        ),
    };
    let filters = [
        filter.location.as_ref().map(ToString::to_string).unwrap_or_default(),
        filter
            .patient
            .as_ref()
            .map(|id| id.as_str().to_owned())
            .unwrap_or_default(),
        filter
            .care_team_member
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default(),
    ];
    let asked = list::Asked {
        size: request.page_size,
        token: request.page_token,
        show_deleted: request.show_deleted,
    };
    let listing = Listing::parse(&mut violations, &caller.organization, "ListCharts", asked, &filters);
    let listing = violations.finish(listing)?;
    let found = directory
        .store
        .charts(&caller.organization, listing.page(), &filter)
        .await;
    let found = found.map_err(|error| status::of_store(&error))?;
    note_all(caller, RecordKind::Chart, &found);
    let (charts, next_page_token) = listing.answer(found, convert::chart_record);
    Ok(ListChartsResponse {
        charts,
        next_page_token,
    })
}

pub(super) async fn delete(
    directory: &Directory,
    caller: &Caller,
    request: DeleteChartRequest,
) -> Result<DeleteChartResponse, Status> {
    let mut violations = Violations::default();
    let id = violations.take("chart_id", ChartId::parse(request.chart_id));
    let version = violations.take("version", EmrVersion::parse(request.version));
    let (id, version) = violations.finish(id.zip(version))?;
    let written = directory
        .delete(caller, RecordKind::Chart, id.as_str(), version)
        .await?;
    Ok(DeleteChartResponse {
        outcome: convert::outcome(written.change),
        version: Some(convert::version(written.version)),
    })
}
