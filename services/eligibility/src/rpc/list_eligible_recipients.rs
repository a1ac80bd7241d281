//! `ListEligibleRecipients`: whom a person may start a conversation with now (R2).

use carepost_identity::{ChartId, OrganizationId, PortalUserId, StaffId};
use carepost_proto::eligibility::v1::{
    ListEligibleRecipientsRequest, ListEligibleRecipientsResponse, list_eligible_recipients_request::List as Sent,
};
use carepost_rpc::{Caller, Violations, page::List};
use tonic::Status;

use super::{Eligibility, convert, status};
use crate::{
    domain::decision::{Candidacy, NameQuery, Position, Recipient, RecipientList, candidacy},
    store::{Store, StoreError},
};

/// How often more candidates are read to fill a page, when the decision strikes out many. A page may be short of its size; the
/// token leads on.
const MAX_ROUNDS: usize = 8;

/// The list, and what the names in it have.
type Asked = (RecipientList, NameQuery);

pub(super) async fn handle(
    eligibility: &Eligibility,
    caller: &Caller,
    request: ListEligibleRecipientsRequest,
) -> Result<ListEligibleRecipientsResponse, Status> {
    let organization = &caller.organization;
    let mut violations = Violations::default();
    let size = violations.page_size(request.page_size);
    let list = recipient_list(&mut violations, request.list);
    let query = violations.take("name_query", NameQuery::parse(&request.name_query));
    let asked = list.zip(query).and_then(|asked| {
        let identity = list_identity(organization, &asked);
        let position = violations.take("page_token", identity.position(&request.page_token))?;
        Some((identity, asked, position))
    });
    let (identity, asked, position) = violations.finish(asked)?;
    let after = position
        .map(|(sort_name, id)| Position { sort_name, id })
        .unwrap_or_default();
    let page = page(&eligibility.store, organization, &asked, after, size).await;
    let (recipients, next) = page.map_err(|error| status::of_store(&error))?;
    let next_page_token = next.map(|next| identity.token(&(next.sort_name, next.id)));
    Ok(ListEligibleRecipientsResponse {
        recipients: recipients.into_iter().map(convert::recipient).collect(),
        next_page_token: next_page_token.unwrap_or_default(),
    })
}

fn recipient_list(violations: &mut Violations, sent: Option<Sent>) -> Option<RecipientList> {
    match sent {
        Some(Sent::PortalUsersForStaff(list)) => {
            let path = "portal_users_for_staff";
            let staff = violations.take(&format!("{path}.staff_id"), StaffId::parse(list.staff_id));
            let chart = violations.take(&format!("{path}.chart_id"), ChartId::parse(list.chart_id));
            Some(RecipientList::PortalUsersForStaff(staff?, chart?))
        }
        Some(Sent::StaffForPortalUser(list)) => {
            let path = "staff_for_portal_user";
            let user = PortalUserId::parse(list.portal_user_id);
            let user = violations.take(&format!("{path}.portal_user_id"), user);
            let chart = violations.take(&format!("{path}.chart_id"), ChartId::parse(list.chart_id));
            Some(RecipientList::StaffForPortalUser(user?, chart?))
        }
        Some(Sent::StaffForStaff(list)) => {
            let path = "staff_for_staff";
            let staff = violations.take(&format!("{path}.staff_id"), StaffId::parse(list.staff_id));
            let chart = list.chart_id.map(ChartId::parse).transpose();
            let chart = violations.take(&format!("{path}.chart_id"), chart);
            Some(RecipientList::StaffForStaff(staff?, chart?))
        }
        None => {
            violations.add("list", "is required");
            None
        }
    }
}

fn list_identity(organization: &OrganizationId, (list, query): &Asked) -> List {
    let (kind, person, chart) = match list {
        RecipientList::PortalUsersForStaff(staff, chart) => ("portal users", staff.as_str(), Some(chart)),
        RecipientList::StaffForPortalUser(user, chart) => ("for a portal user", user.as_str(), Some(chart)),
        RecipientList::StaffForStaff(staff, chart) => ("staff", staff.as_str(), chart.as_ref()),
    };
    let chart = chart.map(ChartId::as_str).unwrap_or_default();
    let organization = organization.as_str();
    List::new(&[
        "ListEligibleRecipients",
        organization,
        kind,
        person,
        chart,
        query.as_str(),
    ])
}

/// One page, and where the next one begins, if there may be one.
async fn page(
    store: &Store,
    organization: &OrganizationId,
    (list, query): &Asked,
    mut after: Position,
    size: u32,
) -> Result<(Vec<Recipient>, Option<Position>), StoreError> {
    let mut recipients = Vec::new();
    for _ in 0..MAX_ROUNDS {
        // One more than fits tells whether there is a next page.
        let candidates = store.candidates(organization, list, query, &after, size + 1).await?;
        let were_all = candidates.len() <= size as usize;
        for candidate in candidates {
            if recipients.len() == size as usize {
                return Ok((recipients, Some(after)));
            }
            match candidacy(list, &candidate) {
                Candidacy::Recipient(recipient) => recipients.push(recipient),
                Candidacy::NotThem => {}
                Candidacy::Nobody => return Ok((recipients, None)),
            }
            after = candidate.position;
        }
        if were_all {
            return Ok((recipients, None));
        }
    }
    Ok((recipients, Some(after)))
}
