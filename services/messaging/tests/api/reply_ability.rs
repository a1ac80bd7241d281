//! Whether the reader can reply is the same answer when listed, when opened and when sending (I6), and who may see the chart
//! gets its link (C2).

use std::time::{Duration, Instant};

use carepost_proto::{
    common::v1::EligibilityReason as Reason,
    eligibility::v1::{ChartAccess, ChartSummary, Decision, Denial},
    messaging::v1::{
        Conversation, GetConversationRequest, ListConversationsRequest, ReplyState, StartConversationRequest,
    },
};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use crate::support::{CLERK, Column, DOCTOR, GUARDIAN, NURSE, Says, Service, on_both, portal_start, reply_to};

const URL: &str = "https://emr.example.org/charts/1";
const SEES: ChartAccess = ChartAccess {
    no_location_access: false,
    barred: false,
};
const BARRED: ChartAccess = ChartAccess {
    no_location_access: false,
    barred: true,
};

fn decides(reasons: &[(Reason, &str)], access: ChartAccess, connected: bool) -> Says {
    let denials = reasons.iter().map(|(reason, party)| Denial {
        reason: (*reason).into(),
        party: (*party).to_owned(),
        remedy: format!("Mends {}.", reason.as_str_name()),
        ..Denial::default()
    });
    Says::Decides(Decision {
        allowed: reasons.is_empty(),
        denials: denials.collect(),
        chart: Some(ChartSummary {
            chart_id: "chart-1".to_owned(),
            patient_name: "Patient".to_owned(),
            url: URL.to_owned(),
        }),
        staff_chart_access: Some(access),
        portal_user_connected: connected,
        ..Decision::default()
    })
}

/// Reason, party and remedy of each denial.
type Told = Vec<(String, String, String)>;

fn shown(conversation: &Conversation) -> (ReplyState, Told) {
    let ability = conversation.reply_ability.as_ref().unwrap();
    let denials = ability.denials.iter().map(|denial| {
        let reason = denial.reason().as_str_name().trim_start_matches("ELIGIBILITY_REASON_");
        (reason.to_owned(), denial.party.clone(), denial.remedy.clone())
    });
    (ability.state(), denials.collect())
}

async fn listed(service: &Service, person: &str) -> Vec<Conversation> {
    let request = ListConversationsRequest::default();
    let page = service.of(person).list_conversations(request).await.unwrap();
    page.into_inner().conversations
}

async fn sent(service: &Service, person: &str, id: &str) -> (ReplyState, Told) {
    let Err(refused) = service.of(person).reply(reply_to(id)).await else {
        return (ReplyState::Allowed, Vec::new());
    };
    assert_eq!(refused.code(), Code::FailedPrecondition);
    let details = refused.get_error_details();
    let violations = details.precondition_failure().unwrap().violations.clone();
    let told = violations
        .into_iter()
        .map(|violation| (violation.r#type, violation.subject, violation.description));
    (ReplyState::Denied, told.collect())
}

/// The one answer that all three give.
async fn answer(service: &Service, person: &str, id: &str) -> (ReplyState, Vec<(String, String)>) {
    let list = listed(service, person).await;
    let in_list = shown(list.iter().find(|conversation| conversation.id == id).unwrap());
    let opened = shown(&service.open(person, id).await);
    assert_eq!(in_list, opened);
    assert_eq!(opened, sent(service, person, id).await);
    let (state, told) = opened;
    assert!(told.iter().all(|(_, _, remedy)| !remedy.is_empty()));
    (
        state,
        told.into_iter().map(|(reason, party, _)| (reason, party)).collect(),
    )
}

fn denied(reasons: &[(&str, &str)]) -> (ReplyState, Vec<(String, String)>) {
    let told = reasons
        .iter()
        .map(|(reason, party)| ((*reason).to_owned(), (*party).to_owned()));
    (ReplyState::Denied, told.collect())
}

on_both!(i6_listed_opened_and_sending_are_answered_alike);
async fn i6_listed_opened_and_sending_are_answered_alike(column: Column) {
    let service = Service::start(column, "alike").await;
    let id = service.start_portal().await.conversation_id;
    assert_eq!(answer(&service, GUARDIAN, &id).await, (ReplyState::Allowed, Vec::new()));
    let reasons = [(Reason::MessagingDisabled, ""), (Reason::StaffInactive, NURSE)];
    service.eligibility.says(decides(&reasons, SEES, true));
    let expected = denied(&[("MESSAGING_DISABLED", ""), ("STAFF_INACTIVE", NURSE)]);
    assert_eq!(answer(&service, GUARDIAN, &id).await, expected);
    assert_eq!(answer(&service, NURSE, &id).await, expected);
}

on_both!(i6_what_is_shown_is_redacted_like_a_refusal);
async fn i6_what_is_shown_is_redacted_like_a_refusal(column: Column) {
    let service = Service::start(column, "redacted").await;
    let id = service.start_portal().await.conversation_id;
    let unconnected = [
        (Reason::StaffInactive, NURSE),
        (Reason::PortalUserNotConnected, GUARDIAN),
    ];
    service.eligibility.says(decides(&unconnected, SEES, false));
    assert_eq!(answer(&service, GUARDIAN, &id).await, denied(&[("UNKNOWN_CHART", "")]));
    let barred = [
        (Reason::StaffBarredFromChart, NURSE),
        (Reason::PortalAccountNotActive, GUARDIAN),
    ];
    service.eligibility.says(decides(&barred, BARRED, true));
    assert_eq!(
        answer(&service, NURSE, &id).await,
        denied(&[("STAFF_BARRED_FROM_CHART", NURSE)])
    );
}

on_both!(i6_a_page_is_one_question_to_eligibility);
async fn i6_a_page_is_one_question_to_eligibility(column: Column) {
    let service = Service::start(column, "one-question").await;
    for _ in 0..4 {
        service.start_portal().await;
    }
    service.start_staff().await;
    assert_eq!(listed(&service, NURSE).await.len(), 5);
    assert_eq!(service.eligibility.batches(), [5]);
    assert!(listed(&service, "staff/newcomer").await.is_empty());
    assert_eq!(service.eligibility.batches(), [5], "nobody asks about no conversation");
}

on_both!(i6_reading_goes_on_without_eligibility);
async fn i6_reading_goes_on_without_eligibility(column: Column) {
    let service = Service::start(column, "unknown").await;
    let id = service.start_portal().await.conversation_id;
    for says in [Says::Nothing, Says::Nonsense, Says::Silence] {
        service.eligibility.says(says.clone());
        let begun = Instant::now();
        // The caller would wait for a second: half of it is eligibility's.
        let mut request = Request::new(ListConversationsRequest::default());
        request.set_timeout(Duration::from_secs(1));
        let list = service
            .of(NURSE)
            .list_conversations(request)
            .await
            .unwrap()
            .into_inner();
        let mut request = Request::new(GetConversationRequest {
            conversation_id: id.clone(),
        });
        request.set_timeout(Duration::from_secs(1));
        let opened = service.of(NURSE).get_conversation(request).await.unwrap().into_inner();
        assert!(begun.elapsed() < Duration::from_secs(2));
        for conversation in [&list.conversations[0], opened.conversation.as_ref().unwrap()] {
            assert_eq!(shown(conversation), (ReplyState::Unknown, Vec::new()));
            let regarding = conversation.regarding.as_ref().unwrap();
            assert_eq!(
                (regarding.patient_name.as_str(), regarding.view_patient_url.as_str()),
                ("Patient of chart-1", "")
            );
        }
        if !matches!(says, Says::Nonsense) {
            let refused = service.of(NURSE).reply(reply_to(&id)).await.unwrap_err();
            assert_eq!(refused.code(), Code::Unavailable, "only sending fails");
        }
    }
    service.eligibility.says(Says::Yes);
    assert_eq!(answer(&service, NURSE, &id).await, (ReplyState::Allowed, Vec::new()));
}

on_both!(c2_the_view_patient_link_is_for_staff_who_may_see_the_chart);
async fn c2_the_view_patient_link_is_for_staff_who_may_see_the_chart(column: Column) {
    let service = Service::start(column, "link").await;
    let portal = service.start_portal().await.conversation_id;
    let among_staff = StartConversationRequest {
        recipients: vec![DOCTOR.to_owned(), CLERK.to_owned()],
        ..portal_start()
    };
    let among_staff = service.of(NURSE).start_conversation(among_staff).await.unwrap();
    let among_staff = among_staff.into_inner().conversation_id;
    let link = async |person: &str, id: &str| {
        let opened = service.open(person, id).await;
        let list = listed(&service, person).await;
        let in_list = list.into_iter().find(|conversation| conversation.id == id).unwrap();
        assert_eq!(opened.regarding, in_list.regarding);
        opened.regarding.unwrap().view_patient_url
    };
    // Whether they can reply makes no difference to what they may see.
    for reasons in [&[][..], &[(Reason::MessagingDisabled, "")]] {
        service.eligibility.says(decides(reasons, SEES, true));
        assert_eq!(link(NURSE, &portal).await, URL);
        assert_eq!(link(DOCTOR, &among_staff).await, URL);
        // Eligibility speaks of the nurse's access here.
        assert_eq!(link(GUARDIAN, &portal).await, "");
        service.eligibility.says(decides(reasons, BARRED, true));
        assert_eq!(link(NURSE, &portal).await, "");
        assert_eq!(link(DOCTOR, &among_staff).await, "");
    }
}
