//! What operators see of portal messages without an answer: counts, times and ids of staff.

mod stored;

use std::time::Duration;

use carepost_proto::messaging::v1::{
    ListUnansweredRequest, ListUnansweredResponse, Message, StaffActivity, StartConversationRequest,
    WaitingConversations, operator_service_client::OperatorServiceClient,
};
use carepost_runtime::Clock;
use chrono::{DateTime, TimeDelta, Utc};
use prost::Message as _;
use sea_orm::{ConnectionTrait, Statement};
use tonic::{Code, Request, Status};

use crate::support::{
    CLERK, Column, DOCTOR, GUARDIAN, NURSE, ORGANIZATION, Plan, Says, Service, fields, on_both, portal_start, reason,
    reply_to, retry_delay,
};

/// A service that may ask, and one that may do everything else.
const SERVICES: &str = r#"
[[identity.services]]
issuer = "portal"
subject = "console"
name = "console"
scopes = ["notifications.read"]
organizations = ["southern", "prairie"]
[[identity.services]]
issuer = "portal"
subject = "powerful"
name = "powerful"
scopes = ["act_as:staff", "act_as:portal", "directory.read", "directory.write", "settings.write", "eligibility.read", "notifications.write"]
organizations = ["southern"]
"#;

async fn start(column: Column, hint: &str) -> Service {
    let plan = Plan {
        settings: SERVICES.to_owned(),
        ..Plan::default()
    };
    Service::start_as(column, hint, plan).await
}

/// A call with this metadata.
async fn call(
    service: &Service,
    headers: &[(&'static str, &str)],
    asked: ListUnansweredRequest,
) -> Result<ListUnansweredResponse, Status> {
    let mut request = Request::new(asked);
    for (name, value) in headers {
        request.metadata_mut().insert(*name, value.parse().unwrap());
    }
    let mut client = OperatorServiceClient::new(service.channel());
    Ok(client.list_unanswered(request).await?.into_inner())
}

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

/// As the operators of an organization.
async fn list_of(
    service: &Service,
    organization: &str,
    asked: ListUnansweredRequest,
) -> Result<ListUnansweredResponse, Status> {
    let token = bearer(&service.issuer.service("console"));
    call(
        service,
        &[("authorization", &token), ("carepost-organization", organization)],
        asked,
    )
    .await
}

async fn list(service: &Service, asked: ListUnansweredRequest) -> Result<ListUnansweredResponse, Status> {
    list_of(service, ORGANIZATION, asked).await
}

async fn all(service: &Service) -> ListUnansweredResponse {
    list(service, ListUnansweredRequest::default()).await.unwrap()
}

fn older_than(days: i64) -> ListUnansweredRequest {
    let span = Duration::from_secs(days.unsigned_abs() * 86_400);
    ListUnansweredRequest {
        older_than: Some(span.try_into().unwrap()),
        ..Default::default()
    }
}

/// The guardian writes to a member of staff, and gets no answer.
async fn ask(service: &Service, staff: &str) -> Message {
    let request = StartConversationRequest {
        recipients: vec![staff.to_owned()],
        ..portal_start()
    };
    let started = service.of(GUARDIAN).start_conversation(request).await.unwrap();
    started.into_inner().message.unwrap()
}

/// The same, some days ago.
async fn asked_days_ago(service: &Service, staff: &str, days: i64) {
    let message = ask(service, staff).await;
    let since = Clock::system().now() - TimeDelta::days(days);
    let id: uuid::Uuid = message.conversation_id.parse().unwrap();
    let database = service.database().await;
    for update in [
        "UPDATE unanswered SET since = $1 WHERE conversation_id = $2",
        "UPDATE message SET sent_at = $1 WHERE conversation_id = $2",
    ] {
        let statement =
            Statement::from_sql_and_values(database.get_database_backend(), update, [since.into(), id.into()]);
        assert_eq!(database.execute_raw(statement).await.unwrap().rows_affected(), 1);
    }
    database.close().await.unwrap();
}

/// Each row: who, whether active, how many.
fn rows(answer: &ListUnansweredResponse) -> Vec<(&str, StaffActivity, i64)> {
    let row = answer.staff.iter();
    row.map(|row| (row.staff_id.as_str(), row.activity(), row.waiting.unwrap().count))
        .collect()
}

fn time(time: Option<prost_types::Timestamp>) -> DateTime<Utc> {
    let time = time.unwrap();
    DateTime::from_timestamp(time.seconds, time.nanos.unsigned_abs()).unwrap()
}

/// The one row's time.
fn waiting_since(answer: &ListUnansweredResponse) -> DateTime<Utc> {
    let [row] = &answer.staff[..] else {
        panic!("one row: {answer:?}")
    };
    time(row.waiting_since)
}

use StaffActivity::{Active, Inactive, Unknown};

on_both!(a_conversation_waits_since_the_first_message_that_no_answer_follows);
async fn a_conversation_waits_since_the_first_message_that_no_answer_follows(column: Column) {
    let service = start(column, "waits").await;
    assert_eq!(
        all(&service).await,
        ListUnansweredResponse {
            total: Some(WaitingConversations::default()),
            ..Default::default()
        }
    );
    let id = service.start_portal().await.conversation_id;
    assert_eq!(all(&service).await.staff_count, 0, "what staff write waits for nothing");

    let first = service
        .of(GUARDIAN)
        .reply(reply_to(&id))
        .await
        .unwrap()
        .into_inner()
        .message
        .unwrap();
    service.of(GUARDIAN).reply(reply_to(&id)).await.unwrap();
    let waiting = all(&service).await;
    assert_eq!(rows(&waiting), [("nurse", Active, 1)]);
    assert_eq!(
        waiting_since(&waiting),
        time(first.send_time),
        "who asks again does not look newer"
    );

    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    assert_eq!(all(&service).await.staff_count, 0);
    let again = service
        .of(GUARDIAN)
        .reply(reply_to(&id))
        .await
        .unwrap()
        .into_inner()
        .message
        .unwrap();
    assert_eq!(waiting_since(&all(&service).await), time(again.send_time));

    let other = ask(&service, NURSE).await;
    let both = all(&service).await;
    assert_eq!((rows(&both), both.staff_count), (vec![("nurse", Active, 2)], 1));
    assert_eq!(waiting_since(&both), time(again.send_time), "the longest wait");
    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    assert_eq!(waiting_since(&all(&service).await), time(other.send_time));
}

on_both!(staff_conversations_never_wait);
async fn staff_conversations_never_wait(column: Column) {
    let service = start(column, "staff-wait").await;
    let id = service.start_staff().await.conversation_id;
    service.of(DOCTOR).reply(reply_to(&id)).await.unwrap();
    assert_eq!(all(&service).await.staff_count, 0);
}

on_both!(inactive_staff_come_first_then_the_longest_wait);
async fn inactive_staff_come_first_then_the_longest_wait(column: Column) {
    let service = start(column, "inactive").await;
    for (staff, days) in [(NURSE, 40), (NURSE, 0), (DOCTOR, 2), (DOCTOR, 5), (CLERK, 10)] {
        asked_days_ago(&service, staff, days).await;
    }
    service.eligibility.leaves("doctor");
    let answer = all(&service).await;
    assert_eq!(
        rows(&answer),
        [("doctor", Inactive, 2), ("nurse", Active, 2), ("clerk", Active, 1)]
    );
    let total = WaitingConversations {
        count: 5,
        under_1_day: 1,
        days_1_to_3: 1,
        days_3_to_7: 1,
        days_7_to_30: 1,
        over_30_days: 1,
    };
    assert_eq!((answer.total, answer.staff_count), (Some(total), 3));
    let doctor = answer.staff[0].waiting.unwrap();
    assert_eq!((doctor.days_1_to_3, doctor.days_3_to_7), (1, 1));

    let old = list(&service, older_than(3)).await.unwrap();
    assert_eq!(
        rows(&old),
        [("doctor", Inactive, 1), ("nurse", Active, 1), ("clerk", Active, 1)]
    );
    assert_eq!(old.total.unwrap().count, 3);
    assert_eq!(list(&service, older_than(41)).await.unwrap().staff_count, 0);
    let request = ListUnansweredRequest {
        page_size: -1,
        page_token: "x".to_owned(),
        older_than: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
    };
    let wrong = list(&service, request).await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    assert_eq!(fields(&wrong), ["older_than", "page_size", "page_token"]);
}

on_both!(while_eligibility_is_down_everybody_is_unknown_and_nobody_is_left_out);
async fn while_eligibility_is_down_everybody_is_unknown_and_nobody_is_left_out(column: Column) {
    let service = start(column, "unknown").await;
    for (staff, days) in [(NURSE, 1), (DOCTOR, 9), (CLERK, 5)] {
        asked_days_ago(&service, staff, days).await;
    }
    service.eligibility.leaves("nurse");
    let page = |page_token: &str| ListUnansweredRequest {
        page_size: 2,
        page_token: page_token.to_owned(),
        ..Default::default()
    };
    let known = list(&service, page("")).await.unwrap();
    assert_eq!(rows(&known), [("nurse", Inactive, 1), ("doctor", Active, 1)]);
    for says in [Says::Nothing, Says::Nonsense] {
        service.eligibility.says(says);
        let unknown = list(&service, page("")).await.unwrap();
        assert_eq!(
            rows(&unknown),
            [("doctor", Unknown, 1), ("clerk", Unknown, 1)],
            "by the wait alone"
        );
        assert_eq!((unknown.total.unwrap().count, unknown.staff_count), (3, 3));
        // A list that began with inactive staff cannot go on in another order.
        let refused = list(&service, page(&known.next_page_token)).await.unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::Unavailable, "DEPENDENCY_UNAVAILABLE")
        );
        assert!(retry_delay(&refused).is_some());
        // One that began without knowing goes on in its order, whatever is known by then.
        assert_eq!(
            rows(&list(&service, page(&unknown.next_page_token)).await.unwrap()),
            [("nurse", Unknown, 1)]
        );
        service.eligibility.says(Says::Yes);
        assert_eq!(
            rows(&list(&service, page(&unknown.next_page_token)).await.unwrap()),
            [("nurse", Inactive, 1)]
        );
        assert_eq!(
            rows(&list(&service, page(&known.next_page_token)).await.unwrap()),
            [("clerk", Active, 1)]
        );
    }
}

on_both!(pages_have_each_member_of_staff_once_and_the_totals_of_all);
async fn pages_have_each_member_of_staff_once_and_the_totals_of_all(column: Column) {
    let service = start(column, "unanswered-pages").await;
    let names: Vec<_> = (0..7).map(|number| format!("nurse-{number}")).collect();
    for (days, name) in names.iter().enumerate() {
        asked_days_ago(&service, &format!("staff/{name}"), days.cast_signed() as i64).await;
        if days % 3 == 0 {
            service.eligibility.leaves(name);
        }
    }
    let (mut seen, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListUnansweredRequest {
            page_size: 2,
            page_token,
            ..Default::default()
        };
        let page = list(&service, asked).await.unwrap();
        assert_eq!((page.total.unwrap().count, page.staff_count), (7, 7));
        seen.extend(page.staff.into_iter().map(|row| row.staff_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [6, 3, 0, 5, 4, 2, 1].map(|number| format!("nurse-{number}")));
}

on_both!(c5_operators_are_told_counts_times_and_ids_of_staff_and_nothing_else);
async fn c5_operators_are_told_counts_times_and_ids_of_staff_and_nothing_else(column: Column) {
    let service = start(column, "counts-only").await;
    let message = ask(&service, NURSE).await;
    let answer = all(&service).await;
    assert_eq!(answer.staff_count, 1);
    let told = String::from_utf8_lossy(&answer.encode_to_vec()).into_owned();
    assert!(told.contains("nurse"));
    for secret in [
        "guardian",
        "chart",
        "Name",
        "Patient",
        "Wound",
        "Monday",
        &message.conversation_id,
        &message.id,
    ] {
        assert!(!told.contains(secret), "{secret}");
    }
}

on_both!(persons_and_services_without_the_scope_are_refused);
async fn persons_and_services_without_the_scope_are_refused(column: Column) {
    let service = start(column, "unanswered-refused").await;
    ask(&service, NURSE).await;
    let nurse = bearer(&service.issuer.person(ORGANIZATION, NURSE));
    let guardian = bearer(&service.issuer.person(ORGANIZATION, GUARDIAN));
    let powerful = bearer(&service.issuer.service("powerful"));
    let console = bearer(&service.issuer.service("console"));
    let organization = ("carepost-organization", ORGANIZATION);
    for (headers, reasoned) in [
        (vec![("authorization", nurse.as_str())], "CALLER_NOT_ALLOWED"),
        (vec![("authorization", guardian.as_str())], "CALLER_NOT_ALLOWED"),
        (
            vec![("authorization", powerful.as_str()), organization],
            "SCOPE_MISSING",
        ),
        (
            vec![
                ("authorization", powerful.as_str()),
                organization,
                ("carepost-act-as", NURSE),
            ],
            "CALLER_NOT_ALLOWED",
        ),
        (
            vec![
                ("authorization", console.as_str()),
                ("carepost-organization", "elsewhere"),
            ],
            "ORGANIZATION_NOT_ALLOWED",
        ),
        (vec![("authorization", console.as_str())], "ORGANIZATION_NOT_ALLOWED"),
    ] {
        let refused = call(&service, &headers, ListUnansweredRequest::default())
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code(), reason(&refused).as_str()),
            (Code::PermissionDenied, reasoned)
        );
    }
}
