//! `ListDeliveries`: the ledger, newest first (N5).

use carepost_audit::Subject;
use carepost_identity::PersonId;
use carepost_proto::notification::v1::{ListDeliveriesRequest, ListDeliveriesResponse};
use carepost_rpc::{Caller, Violations, page::List};
use chrono::{DateTime, Utc};
use tonic::Status;
use uuid::Uuid;

use super::{Notification, convert, status};
use crate::{
    domain::Delivery,
    store::{DeliveryFilter, DeliveryPosition},
};

/// What is asked for.
#[derive(Debug)]
struct Page {
    filter: DeliveryFilter,
    size: usize,
    after: Option<DeliveryPosition>,
    list: List,
}

pub(super) async fn handle(
    notification: &Notification,
    caller: &Caller,
    request: ListDeliveriesRequest,
) -> Result<ListDeliveriesResponse, Status> {
    let page = parse(caller, &request)?;
    // One more than the page: whether there is another page.
    let most = page.size as u64 + 1;
    let found = notification
        .store
        .deliveries(&caller.organization, &page.filter, page.after, most)
        .await;
    let mut found = found.map_err(|error| status::of_store(&error))?;
    let more = found.len() > page.size;
    found.truncate(page.size);
    let shown = found.iter().map(|delivery| Subject::delivery(delivery.id));
    caller.occasion.note_all(shown);
    let next_page_token = match found.last() {
        Some(last) if more => page.list.token(&position(last)),
        _ => String::new(),
    };
    Ok(ListDeliveriesResponse {
        deliveries: found.into_iter().map(convert::delivery).collect(),
        next_page_token,
    })
}

fn parse(caller: &Caller, request: &ListDeliveriesRequest) -> Result<Page, Status> {
    let mut violations = Violations::default();
    let message_id = match request.message_id.as_str() {
        "" => None,
        text => violations.uuid("message_id", text),
    };
    let recipient = match request.recipient.as_str() {
        "" => None,
        text => violations.take("recipient", recipient(text)),
    };
    let state = violations.take("state", convert::state_filter(request.state)).flatten();
    let size = violations.page_size(request.page_size);
    let (created_from, created_to) = created(&mut violations, request);
    let organization = caller.organization.as_str();
    let list = List::new(&[
        "ListDeliveries",
        organization,
        &request.message_id,
        &request.recipient,
        &request.state.to_string(),
        &format!("{:?}", (created_from, created_to)),
    ]);
    let after = violations
        .take("page_token", list.position(&request.page_token))
        .flatten();
    let after = after.and_then(|position| violations.take("page_token", read(position)));
    let filter = DeliveryFilter {
        message_id,
        recipient,
        state,
        created_from,
        created_to,
    };
    violations.finish(Some(Page {
        filter,
        size: size as usize,
        after,
        list,
    }))
}

fn recipient(text: &str) -> Result<PersonId, &'static str> {
    PersonId::parse(text).map_err(|_| "must be of the form portal/ID or staff/ID")
}

type Time = Option<DateTime<Utc>>;

/// The span of times.
fn created(violations: &mut Violations, request: &ListDeliveriesRequest) -> (Time, Time) {
    let mut read = |field, given: Option<_>| violations.take(field, given.map(convert::time).transpose()).flatten();
    let from = read("create_time_from", request.create_time_from);
    let to = read("create_time_to", request.create_time_to);
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        violations.add("create_time_to", "must be later than create_time_from");
    }
    (from, to)
}

/// A position as a token holds it: microseconds, which is all that is stored, and the id.
fn position(delivery: &Delivery) -> (i64, String) {
    (delivery.created_at.timestamp_micros(), delivery.id.to_string())
}

fn read((micros, id): (i64, String)) -> Result<DeliveryPosition, &'static str> {
    let time = DateTime::<Utc>::from_timestamp_micros(micros);
    time.zip(Uuid::parse_str(&id).ok())
        .ok_or("is not a page token of this list")
}

#[cfg(test)]
mod tests {
    use carepost_audit::Occasion;
    use carepost_identity::{Actor, OrganizationId, ServiceName};
    use prost_types::Timestamp;
    use tonic_types::StatusExt;

    use super::*;

    fn caller(organization: &str) -> Caller {
        Caller {
            organization: OrganizationId::parse(organization).unwrap(),
            actor: Actor::Service(ServiceName::parse("console").unwrap()),
            expires: DateTime::UNIX_EPOCH,
            occasion: Occasion::own(Uuid::nil(), "test"),
        }
    }

    #[test]
    fn every_wrong_field_is_named() {
        let request = ListDeliveriesRequest {
            message_id: "x".into(),
            recipient: "nurse/1".into(),
            state: 99,
            page_size: 101,
            page_token: "x".into(),
            create_time_from: Some(Timestamp { seconds: 0, nanos: -1 }),
            create_time_to: Some(Timestamp {
                seconds: i64::MAX,
                nanos: 0,
            }),
        };
        let refused = parse(&caller("southern"), &request).unwrap_err();
        let details = refused.get_error_details();
        let fields: Vec<_> = details
            .bad_request()
            .unwrap()
            .field_violations
            .iter()
            .map(|v| v.field.as_str())
            .collect();
        assert_eq!(
            fields,
            [
                "message_id",
                "recipient",
                "state",
                "page_size",
                "create_time_from",
                "create_time_to",
                "page_token"
            ]
        );
        let (later, sooner) = (Timestamp { seconds: 2, nanos: 0 }, Timestamp { seconds: 1, nanos: 0 });
        for to in [later, sooner] {
            let request = ListDeliveriesRequest {
                create_time_from: Some(later),
                create_time_to: Some(to),
                ..ListDeliveriesRequest::default()
            };
            assert!(parse(&caller("southern"), &request).is_err());
        }
    }

    #[test]
    fn a_token_is_good_for_its_own_list_alone() {
        let request = ListDeliveriesRequest::default();
        let first = parse(&caller("southern"), &request).unwrap();
        assert_eq!((first.size, first.after), (25, None));
        let token = first.list.token(&(7_i64, Uuid::nil().to_string()));
        let next = ListDeliveriesRequest {
            page_token: token,
            ..request
        };
        let after = parse(&caller("southern"), &next).unwrap().after;
        assert_eq!(after, Some((DateTime::from_timestamp_micros(7).unwrap(), Uuid::nil())));
        assert!(parse(&caller("prairie"), &next).is_err());
        let since = Some(Timestamp { seconds: 1, nanos: 0 });
        for other in [
            ListDeliveriesRequest {
                state: 3,
                ..next.clone()
            },
            ListDeliveriesRequest {
                create_time_from: since,
                ..next.clone()
            },
            ListDeliveriesRequest {
                create_time_to: since,
                ..next
            },
        ] {
            assert!(parse(&caller("southern"), &other).is_err());
        }
    }
}
