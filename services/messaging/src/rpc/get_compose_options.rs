//! `GetComposeOptions`: what the caller may start now (R1), as eligibility says, and the notice beside it (C7).

use carepost_audit::Subject;
use carepost_identity::{ChartId, PersonId};
use carepost_proto::{
    eligibility::v1::{self as eligibility, get_compose_options_request::Sender},
    messaging::v1::{
        ComposeNotice, ConversationKind, GetComposeOptionsRequest, GetComposeOptionsResponse, RegardableChart,
    },
};
use carepost_rpc::Violations;
use tonic::Status;

use super::{Call, Messaging, status};
use crate::domain::Notice;

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: GetComposeOptionsRequest,
) -> Result<GetComposeOptionsResponse, Status> {
    let chart = parse(&request)?;
    call.caller.occasion.note_all(chart.as_ref().map(Subject::chart));
    let mut options = ask(messaging, &call, chart.as_ref()).await?;
    let for_portal_user = matches!(call.person, PersonId::Portal(_));
    if for_portal_user && let Some(chart) = &chart {
        let theirs = |regardable: &eligibility::RegardableChart| {
            regardable.chart.as_ref().map(|chart| chart.chart_id.as_str()) == Some(chart.as_str())
        };
        // A chart that is not among theirs reads as if none were given: whatever eligibility said of it is forgotten.
        if !options.charts.iter().any(theirs) {
            options = ask(messaging, &call, None).await?;
        }
    }
    Ok(answer(options, for_portal_user))
}

fn parse(request: &GetComposeOptionsRequest) -> Result<Option<ChartId>, Status> {
    let mut violations = Violations::default();
    let chart = request
        .chart_id
        .as_ref()
        .map(|id| violations.take("chart_id", ChartId::parse(id)));
    violations.finish(chart.map_or(Some(None), |chart| chart.map(Some)))
}

async fn ask(
    messaging: &Messaging,
    call: &Call,
    chart: Option<&ChartId>,
) -> Result<eligibility::GetComposeOptionsResponse, Status> {
    let sender = match &call.person {
        PersonId::Staff(id) => Sender::StaffId(id.to_string()),
        PersonId::Portal(id) => Sender::PortalUserId(id.to_string()),
    };
    let request = eligibility::GetComposeOptionsRequest {
        sender: Some(sender),
        chart_id: chart.map(ChartId::to_string),
    };
    let organization = &call.caller.organization;
    let asked = messaging
        .eligibility
        .compose_options(organization, call.deadline, request);
    asked.await.map_err(|error| status::of_peer(&error))
}

/// Portal users have portal conversations alone, and only they choose what to regard.
fn answer(options: eligibility::GetComposeOptionsResponse, for_portal_user: bool) -> GetComposeOptionsResponse {
    let kinds = [
        options.portal.then_some(ConversationKind::Portal),
        (options.staff && !for_portal_user).then_some(ConversationKind::Staff),
    ];
    let charts = options.charts.into_iter().filter(|_| for_portal_user);
    GetComposeOptionsResponse {
        kinds: kinds.into_iter().flatten().map(i32::from).collect(),
        charts: charts.map(regardable).collect(),
        notice: Some(notice(&options.country)),
    }
}

fn regardable(regardable: eligibility::RegardableChart) -> RegardableChart {
    let chart = regardable.chart.unwrap_or_default();
    RegardableChart {
        chart_id: chart.chart_id,
        patient_name: chart.patient_name,
        location_name: regardable.location_name,
        notice: Some(notice(&regardable.country)),
    }
}

fn notice(country: &str) -> ComposeNotice {
    let Notice { text, emergency_number } = Notice::for_country(country);
    ComposeNotice {
        text,
        emergency_number: emergency_number.to_owned(),
    }
}
