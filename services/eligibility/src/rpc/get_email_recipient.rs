//! `GetEmailRecipient`: all that an email to a portal user needs.

use carepost_identity::{ChartId, PortalUserId};
use carepost_proto::eligibility::v1::{GetEmailRecipientRequest, GetEmailRecipientResponse};
use carepost_rpc::{Caller, Violations, status::not_found};
use tonic::Status;

use super::{Eligibility, convert, status};

pub(super) async fn handle(
    eligibility: &Eligibility,
    caller: &Caller,
    request: GetEmailRecipientRequest,
) -> Result<GetEmailRecipientResponse, Status> {
    let mut violations = Violations::default();
    let portal_user = violations.take("portal_user_id", PortalUserId::parse(request.portal_user_id));
    let chart = violations.take("chart_id", request.chart_id.map(ChartId::parse).transpose());
    let (portal_user, chart) = violations.finish(portal_user.zip(chart))?;
    let found = eligibility
        .store
        .email_recipient(&caller.organization, &portal_user, chart.as_ref())
        .await;
    match found.map_err(|error| status::of_store(&error))? {
        Some(recipient) => Ok(convert::email_recipient(recipient)),
        None => Err(not_found("portal user")),
    }
}
