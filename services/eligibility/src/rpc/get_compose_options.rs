//! `GetComposeOptions`: what a person may start (R1).

use carepost_identity::{ChartId, PortalUserId, StaffId};
use carepost_proto::eligibility::v1::{
    GetComposeOptionsRequest, GetComposeOptionsResponse, get_compose_options_request::Sender as Sent,
};
use carepost_rpc::{Caller, Violations};
use tonic::Status;

use super::{Eligibility, convert, status};
use crate::{
    domain::decision::{ComposeOptions, portal_user_options, staff_options},
    store::StoreError,
};

/// Who is to write.
enum Sender {
    Staff(StaffId),
    PortalUser(PortalUserId),
}

pub(super) async fn handle(
    eligibility: &Eligibility,
    caller: &Caller,
    request: GetComposeOptionsRequest,
) -> Result<GetComposeOptionsResponse, Status> {
    let mut violations = Violations::default();
    let sender = sender(&mut violations, request.sender);
    let chart = violations.take("chart_id", request.chart_id.map(ChartId::parse).transpose());
    let (sender, chart) = violations.finish(sender.zip(chart))?;
    let options = options(eligibility, caller, &sender, chart.as_ref()).await;
    options
        .map(convert::compose_options)
        .map_err(|error| status::of_store(&error))
}

fn sender(violations: &mut Violations, sent: Option<Sent>) -> Option<Sender> {
    match sent {
        Some(Sent::StaffId(id)) => violations.take("staff_id", StaffId::parse(id)).map(Sender::Staff),
        Some(Sent::PortalUserId(id)) => violations
            .take("portal_user_id", PortalUserId::parse(id))
            .map(Sender::PortalUser),
        None => {
            violations.add("sender", "is required");
            None
        }
    }
}

async fn options(
    eligibility: &Eligibility,
    caller: &Caller,
    sender: &Sender,
    chart: Option<&ChartId>,
) -> Result<ComposeOptions, StoreError> {
    let (store, organization) = (&eligibility.store, &caller.organization);
    match sender {
        Sender::Staff(id) => {
            let known = store.staff_compose(organization, id, chart).await?;
            let with_chart = chart.is_some();
            Ok(staff_options(id, with_chart, &known.facts, known.place, known.country))
        }
        Sender::PortalUser(id) => {
            let known = store.portal_user_compose(organization, id).await?;
            Ok(portal_user_options(id, chart, known.connected, known.country))
        }
    }
}
