//! `ListRecipients`: whom the caller may write to now (R2), as eligibility says.

use carepost_audit::Subject;
use carepost_identity::{ChartId, PersonId};
use carepost_proto::{
    eligibility::v1::{
        ListEligibleRecipientsRequest, PortalUsersForStaff, Relationship as Related, StaffForPortalUser, StaffForStaff,
        list_eligible_recipients_request::List,
    },
    messaging::v1::{ConversationKind, ListRecipientsRequest, ListRecipientsResponse, Recipient, Relationship},
};
use carepost_rpc::{Violations, peer::PeerError, status::invalid_fields};
use tonic::{Code, Status};

use super::{Call, Messaging, status};

/// The most characters of the text to look for in names.
const LONGEST_QUERY: usize = 200;

pub(super) async fn handle(
    messaging: &Messaging,
    call: Call,
    request: ListRecipientsRequest,
) -> Result<ListRecipientsResponse, Status> {
    let asked = parse(&call.person, &request)?;
    let chart = request.chart_id.as_ref().and_then(|id| ChartId::parse(id).ok());
    call.caller.occasion.note_all(chart.as_ref().map(Subject::chart));
    let answer = messaging
        .eligibility
        .recipients(&call.caller.organization, call.deadline, asked)
        .await;
    let answer = answer.map_err(|error| refused(&error))?;
    let recipients = answer.recipients.into_iter().map(|recipient| Recipient {
        relationship: relationship(recipient.relationship()).into(),
        person: recipient.person,
        display_name: recipient.display_name,
    });
    Ok(ListRecipientsResponse {
        recipients: recipients.collect(),
        next_page_token: answer.next_page_token,
    })
}

fn parse(person: &PersonId, request: &ListRecipientsRequest) -> Result<ListEligibleRecipientsRequest, Status> {
    let mut violations = Violations::default();
    let chart = request
        .chart_id
        .as_ref()
        .and_then(|id| violations.take("chart_id", ChartId::parse(id)).map(String::from));
    let page_size = i32::try_from(violations.page_size(request.page_size)).unwrap_or_default();
    if request.name_query.chars().count() > LONGEST_QUERY {
        violations.add("name_query", format!("must have at most {LONGEST_QUERY} characters"));
    }
    let list = match (person, request.kind()) {
        (_, ConversationKind::Unspecified) => {
            violations.add("kind", "must be CONVERSATION_KIND_PORTAL or CONVERSATION_KIND_STAFF");
            None
        }
        (PersonId::Portal(_), ConversationKind::Staff) => {
            violations.add("kind", "must be CONVERSATION_KIND_PORTAL: portal users have no other");
            None
        }
        (PersonId::Staff(staff), ConversationKind::Staff) => Some(List::StaffForStaff(StaffForStaff {
            staff_id: staff.to_string(),
            chart_id: chart,
        })),
        (person, ConversationKind::Portal) => {
            if request.chart_id.is_none() {
                violations.add("chart_id", "a portal conversation regards a chart");
            }
            chart.map(|chart| in_portal(person, chart))
        }
    };
    let list = violations.finish(list)?;
    Ok(ListEligibleRecipientsRequest {
        list: Some(list),
        page_size,
        page_token: request.page_token.clone(),
        name_query: request.name_query.clone(),
    })
}

fn in_portal(person: &PersonId, chart_id: String) -> List {
    match person {
        PersonId::Staff(id) => List::PortalUsersForStaff(PortalUsersForStaff {
            staff_id: id.to_string(),
            chart_id,
        }),
        PersonId::Portal(id) => List::StaffForPortalUser(StaffForPortalUser {
            portal_user_id: id.to_string(),
            chart_id,
        }),
    }
}

/// The page token is eligibility's, and the one field that it may find wrong.
fn refused(error: &PeerError) -> Status {
    match error {
        PeerError::Refused(_, status) if status.code() == Code::InvalidArgument => {
            let mut violations = Violations::default();
            violations.add("page_token", "is not a page token of this list");
            invalid_fields(violations.into_inner())
        }
        error => status::of_peer(error),
    }
}

fn relationship(related: Related) -> Relationship {
    match related {
        Related::Unspecified => Relationship::Unspecified,
        Related::Self_ => Relationship::Self_,
        Related::Guardian => Relationship::Guardian,
        Related::Guarantor => Relationship::Guarantor,
    }
}
