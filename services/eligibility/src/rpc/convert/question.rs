//! Questions: read as what they are, or refused with the path of each wrong field.

use carepost_identity::{ChartId, PortalUserId, StaffId};
use carepost_proto::eligibility::v1 as proto;
use carepost_rpc::Violations;
use proto::question::Parties;

use super::fields::Fields;
use crate::domain::decision::{
    Action, MAX_RECIPIENTS, MalformedRecipients, PortalQuestion, Question, Sender, StaffQuestion,
};

/// A question; none if something of it is wrong.
pub(in crate::rpc) fn question(
    violations: &mut Violations,
    path: &str,
    question: Option<proto::Question>,
) -> Option<Question> {
    let Some(question) = question else {
        violations.add(path, "is required");
        return None;
    };
    let mut fields = Fields::of(violations, path);
    let action = match question.action() {
        proto::Action::Start => Some(Action::Start),
        proto::Action::Reply => Some(Action::Reply),
        proto::Action::Unspecified => None,
    };
    let action = fields.word("action", action);
    match question.parties {
        Some(Parties::Portal(parties)) => portal(&mut fields, action, parties).map(Question::Portal),
        Some(Parties::Staff(parties)) => staff(&mut fields, action, parties).map(Question::Staff),
        None => {
            fields.add("parties", "is required");
            None
        }
    }
}

fn portal(fields: &mut Fields<'_>, action: Option<Action>, parties: proto::PortalParties) -> Option<PortalQuestion> {
    let staff = fields.take("portal.staff_id", StaffId::parse(parties.staff_id));
    let portal_user = fields.take("portal.portal_user_id", PortalUserId::parse(parties.portal_user_id));
    let chart = fields.take("portal.chart_id", ChartId::parse(parties.chart_id));
    let sender = if parties.sent_by_portal_user {
        Sender::PortalUser
    } else {
        Sender::Staff
    };
    Some(PortalQuestion {
        action: action?,
        sender,
        staff: staff?,
        portal_user: portal_user?,
        chart: chart?,
    })
}

fn staff(fields: &mut Fields<'_>, action: Option<Action>, parties: proto::StaffParties) -> Option<StaffQuestion> {
    let sender = fields.take("staff.sender_id", StaffId::parse(parties.sender_id));
    let chart = fields.take("staff.chart_id", parties.chart_id.map(ChartId::parse).transpose());
    let recipients = recipients(fields, parties.recipient_ids);
    match StaffQuestion::new(action?, sender?, recipients?, chart?) {
        Ok(question) => Some(question),
        Err(malformed) => {
            note(fields, malformed);
            None
        }
    }
}

/// How many there may be is looked at first: a longer list is not read.
fn recipients(fields: &mut Fields<'_>, ids: Vec<String>) -> Option<Vec<StaffId>> {
    if ids.len() > MAX_RECIPIENTS {
        note(fields, MalformedRecipients::TooMany);
        return None;
    }
    let places = ids.into_iter().enumerate();
    let parsed: Vec<_> = places
        .map(|(place, id)| fields.take(&format!("staff.recipient_ids[{place}]"), StaffId::parse(id)))
        .collect();
    parsed.into_iter().collect()
}

fn note(fields: &mut Fields<'_>, malformed: MalformedRecipients) {
    match malformed {
        MalformedRecipients::None => fields.add("staff.recipient_ids", "must not be empty"),
        MalformedRecipients::TooMany => {
            fields.add("staff.recipient_ids", format!("must be at most {MAX_RECIPIENTS}"));
        }
        MalformedRecipients::Repeated(places) => {
            for place in places {
                fields.add(&format!("staff.recipient_ids[{place}]"), "is the sender or came before");
            }
        }
    }
}
