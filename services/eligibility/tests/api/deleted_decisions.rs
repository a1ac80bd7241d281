//! What is deleted, in decisions (D1): unknown, inactive, disabled.

use carepost_proto::eligibility::v1::{
    AccountStatus, Action, Audience, CheckEligibilityRequest, GetEmailRecipientRequest, PortalParties, Question,
    StaffParties, import_directory_request::Record, question::Parties,
};

use crate::{
    import::setting,
    sample::{chart, delete, portal_user, put, staff, unversioned},
    support::{Asking, Column, Service, on_both},
};

async fn reasons(ask: &mut Asking, parties: Parties) -> Vec<String> {
    let question = Question {
        action: Action::Start.into(),
        parties: Some(parties),
    };
    let request = CheckEligibilityRequest {
        question: Some(question),
    };
    let decision = ask
        .check_eligibility(request)
        .await
        .unwrap()
        .into_inner()
        .decision
        .unwrap();
    let reasons = decision.denials.iter().map(|denial| {
        let name = denial.reason().as_str_name();
        name.trim_start_matches("ELIGIBILITY_REASON_").to_owned()
    });
    reasons.collect()
}

fn portal(staff: &str, user: &str, chart: &str) -> Parties {
    Parties::Portal(PortalParties {
        staff_id: staff.to_owned(),
        portal_user_id: user.to_owned(),
        chart_id: chart.to_owned(),
        sent_by_portal_user: false,
    })
}

fn among_staff(sender: &str, recipient: &str) -> Parties {
    Parties::Staff(StaffParties {
        sender_id: sender.to_owned(),
        recipient_ids: vec![recipient.to_owned()],
        chart_id: None,
    })
}

on_both!(what_is_deleted_decides_as_unknown_inactive_and_disabled);
async fn what_is_deleted_decides_as_unknown_inactive_and_disabled(column: Column) {
    let service = Service::start(column, "decides").await;
    let mut feed = service.with_location("org").await;
    let mut ask = service.ask("org");
    let seed = setting(None, true, Audience::CareTeamOnly);
    service.import("org", unversioned([seed])).await;
    let records = ["s1", "s2"].map(|id| Record::Staff(staff(id)));
    let records = records.into_iter().chain([
        Record::Chart(chart("c1", "l1")),
        Record::PortalUser(portal_user("u1", "c1")),
    ]);
    for record in records {
        put(&mut feed, record, 1).await.unwrap();
    }
    assert_eq!(reasons(&mut ask, portal("s1", "u1", "c1")).await, [""; 0]);
    assert_eq!(reasons(&mut ask, among_staff("s1", "s2")).await, [""; 0]);
    // Never there, as if they had been.
    for never in ["s8", "u8", "c8"] {
        let record = match never {
            "s8" => Record::Staff(staff(never)),
            "u8" => Record::PortalUser(portal_user(never, "c1")),
            _ => Record::Chart(chart(never, "l1")),
        };
        delete(&mut feed, &record, 1).await.unwrap();
    }
    assert_eq!(reasons(&mut ask, portal("s1", "u1", "c8")).await, ["UNKNOWN_CHART"]);
    assert_eq!(reasons(&mut ask, among_staff("s1", "s8")).await, ["RECIPIENT_INACTIVE"]);
    let told = reasons(&mut ask, portal("s1", "u8", "c1")).await;
    assert_eq!(told, ["PORTAL_ACCOUNT_NOT_ACTIVE", "PORTAL_USER_NOT_CONNECTED"]);

    delete(&mut feed, &Record::Staff(staff("s2")), 2).await.unwrap();
    assert_eq!(reasons(&mut ask, among_staff("s1", "s2")).await, ["RECIPIENT_INACTIVE"]);
    assert_eq!(reasons(&mut ask, among_staff("s2", "s1")).await, ["STAFF_INACTIVE"]);
    delete(&mut feed, &Record::PortalUser(portal_user("u1", "c1")), 2)
        .await
        .unwrap();
    let told = reasons(&mut ask, portal("s1", "u1", "c1")).await;
    assert_eq!(told, ["PORTAL_ACCOUNT_NOT_ACTIVE"]);
    for user in ["u1", "u8"] {
        let request = GetEmailRecipientRequest {
            portal_user_id: user.to_owned(),
            ..GetEmailRecipientRequest::default()
        };
        let answer = ask.get_email_recipient(request).await.unwrap().into_inner();
        assert_eq!(answer.status(), AccountStatus::Disabled);
    }
    delete(&mut feed, &Record::Staff(staff("s1")), 2).await.unwrap();
    delete(&mut feed, &Record::Chart(chart("c1", "l1")), 2).await.unwrap();
    assert_eq!(reasons(&mut ask, portal("s1", "u1", "c1")).await, ["UNKNOWN_CHART"]);
    put(&mut feed, Record::Chart(chart("c1", "l1")), 3).await.unwrap();
    let told = reasons(&mut ask, portal("s1", "u1", "c1")).await;
    assert_eq!(told, ["STAFF_INACTIVE", "PORTAL_ACCOUNT_NOT_ACTIVE"]);
}
