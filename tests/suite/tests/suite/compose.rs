//! What somebody may start and whom they may write to, through the whole suite (R1, R2, C7).

use carepost_proto::{
    eligibility::v1::{AccountStatus, Audience, ConnectionStatus, Location},
    messaging::v1::{
        ConversationKind, GetComposeOptionsRequest, GetComposeOptionsResponse, ListRecipientsRequest, Recipient,
    },
};

use crate::hospital::{Hospital, chart, connection, on, portal_user, refusal, staff};

const NURSE: &str = "staff/nurse";
const DOCTOR: &str = "staff/doctor";
const GUARDIAN: &str = "portal/guardian";
const NONE: [ConversationKind; 0] = [];

/// A clinic of the organization's country, one in Australia, a chart at each, and a chart of somebody else.
async fn hospital(hint: &str) -> Hospital {
    let mut hospital = Hospital::start(hint, &["clinic"]).await;
    let abroad = Location {
        id: "abroad".to_owned(),
        name: "Clinic abroad".to_owned(),
        country: "AU".to_owned(),
    };
    hospital.put_location(abroad).await;
    for id in ["nurse", "doctor"] {
        let mut record = staff(id, &["clinic", "abroad"]);
        record.name = format!("Zoë {id}");
        hospital.put_staff(record).await;
    }
    hospital.put_chart(chart("c1", "clinic", &["nurse"])).await;
    hospital.put_chart(chart("c2", "abroad", &["nurse", "doctor"])).await;
    hospital
        .put_chart(chart("theirs", "abroad", &["nurse", "doctor"]))
        .await;
    hospital.put_portal_user(portal_user("guardian", &["c1", "c2"])).await;
    hospital.put_portal_user(portal_user("other", &["theirs"])).await;
    hospital
}

async fn options(hospital: &Hospital, person: &str, chart: Option<&str>) -> GetComposeOptionsResponse {
    let request = GetComposeOptionsRequest {
        chart_id: chart.map(str::to_owned),
    };
    let answer = hospital.person(person).get_compose_options(request).await;
    answer.unwrap().into_inner()
}

async fn kinds(hospital: &Hospital, person: &str, chart: Option<&str>) -> Vec<ConversationKind> {
    options(hospital, person, chart).await.kinds().collect()
}

fn number(options: &GetComposeOptionsResponse) -> &str {
    &options.notice.as_ref().unwrap().emergency_number
}

async fn recipients(hospital: &Hospital, person: &str, chart: Option<&str>, name: &str) -> Vec<Recipient> {
    let kind = if chart.is_some() {
        ConversationKind::Portal
    } else {
        ConversationKind::Staff
    };
    let mut request = ListRecipientsRequest {
        kind: kind.into(),
        chart_id: chart.map(str::to_owned),
        page_size: 1,
        page_token: String::new(),
        name_query: name.to_owned(),
    };
    let mut found = Vec::new();
    loop {
        let page = hospital.person(person).list_recipients(request.clone()).await;
        let page = page.unwrap().into_inner();
        found.extend(page.recipients);
        if page.next_page_token.is_empty() {
            return found;
        }
        request.page_token = page.next_page_token;
    }
}

fn persons(recipients: &[Recipient]) -> Vec<&str> {
    recipients.iter().map(|recipient| recipient.person.as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_staff_have_what_their_role_and_the_chart_allow() {
    let mut hospital = hospital("compose_staff").await;
    let both = [ConversationKind::Portal, ConversationKind::Staff];
    assert_eq!(kinds(&hospital, NURSE, None).await, [ConversationKind::Staff]);
    assert_eq!(kinds(&hospital, NURSE, Some("c1")).await, both);
    // Not on the team of this chart, the doctor may still write to colleagues about it.
    assert_eq!(kinds(&hospital, DOCTOR, Some("c1")).await, [ConversationKind::Staff]);
    assert_eq!(number(&options(&hospital, NURSE, Some("c1")).await), "911");
    assert_eq!(number(&options(&hospital, NURSE, Some("c2")).await), "000");
    assert_eq!(persons(&recipients(&hospital, NURSE, Some("c1"), "").await), [GUARDIAN]);

    let mut barring = chart("c2", "abroad", &["nurse"]);
    barring.barred_staff_ids = vec!["nurse".to_owned()];
    hospital.put_chart(barring).await;
    // A chart from which one is barred reads like none, its country included.
    let barred = options(&hospital, NURSE, Some("c2")).await;
    assert_eq!(barred, options(&hospital, NURSE, Some("nowhere")).await);
    assert_eq!((barred.kinds.len(), number(&barred)), (0, "911"));
    assert!(recipients(&hospital, NURSE, Some("c2"), "").await.is_empty());

    let mut without_role = staff("nurse", &["clinic", "abroad"]);
    without_role.roles.clear();
    hospital.put_staff(without_role).await;
    assert_eq!(kinds(&hospital, NURSE, None).await, NONE);
    assert_eq!(kinds(&hospital, NURSE, Some("c1")).await, NONE);
    assert!(recipients(&hospital, NURSE, None, "").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r1_a_portal_user_has_the_charts_for_which_somebody_would_answer() {
    let mut hospital = hospital("compose_portal").await;
    let all = options(&hospital, GUARDIAN, None).await;
    assert_eq!(all.kinds().collect::<Vec<_>>(), [ConversationKind::Portal]);
    let charts: Vec<_> = all
        .charts
        .iter()
        .map(|chart| {
            let notice = chart.notice.as_ref().unwrap();
            let number = notice.emergency_number.as_str();
            (chart.chart_id.as_str(), chart.location_name.as_str(), number)
        })
        .collect();
    assert_eq!(charts, [("c1", "Clinic clinic", "911"), ("c2", "Clinic abroad", "000")]);
    assert_eq!(number(&options(&hospital, GUARDIAN, Some("c2")).await), "000");
    for foreign in ["theirs", "nowhere"] {
        assert_eq!(options(&hospital, GUARDIAN, Some(foreign)).await, all, "{foreign}");
        assert!(recipients(&hospital, GUARDIAN, Some(foreign), "").await.is_empty());
    }

    // Everybody in the list can be written to, and who is not in it cannot.
    assert_eq!(
        persons(&recipients(&hospital, GUARDIAN, Some("c2"), "").await),
        [DOCTOR, NURSE]
    );
    assert_eq!(
        persons(&recipients(&hospital, GUARDIAN, Some("c2"), "ZOE N").await),
        [NURSE]
    );
    hospital.begin(GUARDIAN, &[DOCTOR], Some("c2")).await.unwrap();
    assert_eq!(persons(&recipients(&hospital, GUARDIAN, Some("c1"), "").await), [NURSE]);
    refusal(&hospital.begin(GUARDIAN, &[DOCTOR], Some("c1")).await.unwrap_err());

    // A chart whose connection is not confirmed, or for which nobody would answer, is not to be chosen.
    let mut user = portal_user("guardian", &["c2"]);
    user.connections.push(connection("c1", ConnectionStatus::Pending));
    hospital.put_portal_user(user.clone()).await;
    let chosen = async |hospital: &Hospital| {
        let charts = options(hospital, GUARDIAN, None).await.charts;
        charts.into_iter().map(|chart| chart.chart_id).collect::<Vec<_>>()
    };
    assert_eq!(chosen(&hospital).await, ["c2"]);
    hospital.put_chart(chart("c2", "abroad", &[])).await;
    assert!(chosen(&hospital).await.is_empty());
    assert_eq!(kinds(&hospital, GUARDIAN, None).await, NONE);
    hospital.set(None, Some(on(Audience::SelectedUsers))).await;
    assert_eq!(chosen(&hospital).await, ["c2"]);
    user.set_status(AccountStatus::Disabled);
    hospital.put_portal_user(user).await;
    assert_eq!(kinds(&hospital, GUARDIAN, None).await, NONE);
}
