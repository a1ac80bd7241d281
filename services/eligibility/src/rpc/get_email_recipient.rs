//! `GetEmailRecipient`: all that an email to a person needs.

use carepost_identity::{ChartId, IdError, PersonId, PortalUserId, StaffId};
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
    let person = person(&mut violations, request.portal_user_id, request.staff_id);
    let chart = violations.take("chart_id", request.chart_id.map(ChartId::parse).transpose());
    let (person, chart) = violations.finish(person.zip(chart))?;
    let found = eligibility
        .store
        .email_recipient(&caller.organization, &person, chart.as_ref())
        .await;
    match (found.map_err(|error| status::of_store(&error))?, person) {
        (Some(recipient), _) => Ok(convert::email_recipient(recipient)),
        (None, PersonId::Portal(_)) => Err(not_found("portal user")),
        (None, PersonId::Staff(_)) => Err(not_found("member of staff")),
    }
}

/// Exactly one of the two.
fn person(violations: &mut Violations, portal_user: String, staff: Option<String>) -> Option<PersonId> {
    let (field, parsed): (_, Result<PersonId, IdError>) = match staff {
        None => ("portal_user_id", PortalUserId::parse(portal_user).map(PersonId::from)),
        Some(staff) if portal_user.is_empty() => ("staff_id", StaffId::parse(staff).map(PersonId::from)),
        Some(_) => {
            violations.add("staff_id", "and portal_user_id exclude each other");
            return None;
        }
    };
    violations.take(field, parsed)
}
