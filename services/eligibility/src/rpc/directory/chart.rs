//! `PutChart` and `GetChart`.

use carepost_identity::ChartId;
use carepost_proto::eligibility::v1::{GetChartRequest, GetChartResponse, PutChartRequest, PutChartResponse};
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
    let found = directory.store.chart(&caller.organization, &id).await;
    let found = found.map_err(|error| status::of_store(&error))?;
    let (record, version) = found.ok_or_else(|| not_found("chart"))?;
    Ok(GetChartResponse {
        chart: Some(convert::chart_message(record)),
        version: Some(convert::version(version)),
    })
}
