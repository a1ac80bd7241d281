//! Who may not write is told why: every reason with its remedy, but never that somebody is a patient.

use carepost_proto::{
    common::v1::EligibilityReason as Reason,
    eligibility::v1::{ChartAccess, Decision, Denial},
    messaging::v1::{GetConversationRequest, StartConversationRequest},
};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::support::{Column, GUARDIAN, NURSE, Says, Service, on_both, portal_start, reason, reasons, reply_to};

fn denies(reasons: &[(Reason, &str)], connected: bool) -> Decision {
    let denials = reasons.iter().map(|(reason, party)| Denial {
        reason: (*reason).into(),
        party: (*party).to_owned(),
        remedy: "Do something about it.".to_owned(),
        ..Denial::default()
    });
    Decision {
        denials: denials.collect(),
        portal_user_connected: connected,
        ..Decision::default()
    }
}

async fn start(service: &Service, person: &str, decision: Decision) -> Status {
    service.eligibility.says(Says::Decides(decision));
    let recipient = if person == NURSE { GUARDIAN } else { NURSE };
    let request = StartConversationRequest {
        recipients: vec![recipient.to_owned()],
        ..portal_start()
    };
    service.of(person).start_conversation(request).await.unwrap_err()
}

/// What a status tells, all of it.
fn told(status: &Status) -> (Code, String, String) {
    (
        status.code(),
        status.message().to_owned(),
        format!("{:?}", status.get_error_details()),
    )
}

on_both!(every_reason_is_told_with_its_party_and_remedy);
async fn every_reason_is_told_with_its_party_and_remedy(column: Column) {
    let service = Service::start(column, "reasons").await;
    let decision = denies(
        &[(Reason::MessagingDisabled, ""), (Reason::StaffLacksRole, NURSE)],
        true,
    );
    let refused = start(&service, NURSE, decision).await;
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::FailedPrecondition, "NOT_ELIGIBLE")
    );
    let expected = [("MESSAGING_DISABLED", ""), ("STAFF_LACKS_ROLE", NURSE)];
    assert_eq!(
        reasons(&refused),
        expected.map(|(name, party)| (name.to_owned(), party.to_owned()))
    );
    let details = refused.get_error_details();
    let violations = &details.precondition_failure().unwrap().violations;
    assert!(
        violations
            .iter()
            .all(|violation| violation.description == "Do something about it.")
    );
    assert_eq!(
        (
            service.mailbox(NURSE).await.revision,
            service.mailbox(GUARDIAN).await.revision
        ),
        (0, 0)
    );
}

on_both!(c6_who_may_no_longer_write_still_reads);
async fn c6_who_may_no_longer_write_still_reads(column: Column) {
    let service = Service::start(column, "c6").await;
    let id = service.start_portal().await.conversation_id;
    service
        .eligibility
        .says(Says::Decides(denies(&[(Reason::StaffNotOnCareTeam, NURSE)], true)));
    let refused = service.of(GUARDIAN).reply(reply_to(&id)).await.unwrap_err();
    assert_eq!(
        reasons(&refused),
        [("STAFF_NOT_ON_CARE_TEAM".to_owned(), NURSE.to_owned())]
    );
    service
        .of(GUARDIAN)
        .get_conversation(GetConversationRequest { conversation_id: id })
        .await
        .unwrap();
}

on_both!(a_portal_user_learns_nothing_about_a_chart_that_is_not_theirs);
async fn a_portal_user_learns_nothing_about_a_chart_that_is_not_theirs(column: Column) {
    let service = Service::start(column, "foreign-chart").await;
    let foreign = denies(
        &[
            (Reason::MessagingDisabled, ""),
            (Reason::PortalUserNotConnected, GUARDIAN),
        ],
        false,
    );
    let none = denies(&[(Reason::UnknownChart, "")], false);
    let nobody = denies(&[(Reason::UnknownStaff, NURSE)], false);
    let foreign = start(&service, GUARDIAN, foreign).await;
    assert_eq!(reasons(&foreign), [("UNKNOWN_CHART".to_owned(), String::new())]);
    assert_eq!(told(&foreign), told(&start(&service, GUARDIAN, none).await));
    assert_eq!(told(&foreign), told(&start(&service, GUARDIAN, nobody).await));
}

on_both!(a_portal_user_learns_of_staff_only_from_a_conversation_of_theirs);
async fn a_portal_user_learns_of_staff_only_from_a_conversation_of_theirs(column: Column) {
    let service = Service::start(column, "foreign-staff").await;
    let inactive = denies(&[(Reason::StaffInactive, NURSE)], true);
    let nobody = denies(&[(Reason::UnknownStaff, NURSE)], true);
    let stranger = start(&service, GUARDIAN, inactive.clone()).await;
    assert_eq!(reasons(&stranger), [("UNKNOWN_STAFF".to_owned(), NURSE.to_owned())]);
    assert_eq!(told(&stranger), told(&start(&service, GUARDIAN, nobody).await));
    service.eligibility.says(Says::Yes);
    service.start_portal().await;
    let known = start(&service, GUARDIAN, inactive).await;
    assert_eq!(reasons(&known), [("STAFF_INACTIVE".to_owned(), NURSE.to_owned())]);
}

on_both!(staff_who_may_not_see_the_chart_cannot_tell_a_patient_from_nobody);
async fn staff_who_may_not_see_the_chart_cannot_tell_a_patient_from_nobody(column: Column) {
    let service = Service::start(column, "barred").await;
    let access = Some(ChartAccess {
        no_location_access: true,
        barred: true,
    });
    let patient = denies(
        &[
            (Reason::StaffLacksRole, NURSE),
            (Reason::StaffNoLocationAccess, NURSE),
            (Reason::StaffBarredFromChart, NURSE),
        ],
        true,
    );
    let ghost = denies(&[(Reason::UnknownPortalUser, GUARDIAN)], false);
    let patient = start(
        &service,
        NURSE,
        Decision {
            staff_chart_access: access,
            ..patient
        },
    )
    .await;
    let expected = ["STAFF_NO_LOCATION_ACCESS", "STAFF_BARRED_FROM_CHART"].map(|r| (r.to_owned(), NURSE.to_owned()));
    assert_eq!(reasons(&patient), expected);
    let ghost = start(
        &service,
        NURSE,
        Decision {
            staff_chart_access: access,
            ..ghost
        },
    )
    .await;
    assert_eq!(told(&patient), told(&ghost));
}

on_both!(staff_cannot_tell_a_patient_of_others_from_nobody);
async fn staff_cannot_tell_a_patient_of_others_from_nobody(column: Column) {
    let service = Service::start(column, "unconnected").await;
    let access = Some(ChartAccess::default());
    let unconnected = denies(
        &[
            (Reason::PortalAccountNotActive, GUARDIAN),
            (Reason::PortalUserNotConnected, GUARDIAN),
        ],
        false,
    );
    let ghost = denies(&[(Reason::UnknownPortalUser, GUARDIAN)], false);
    let unconnected = start(
        &service,
        NURSE,
        Decision {
            staff_chart_access: access,
            ..unconnected
        },
    )
    .await;
    assert_eq!(
        reasons(&unconnected),
        [("UNKNOWN_PORTAL_USER".to_owned(), GUARDIAN.to_owned())]
    );
    let ghost = start(
        &service,
        NURSE,
        Decision {
            staff_chart_access: access,
            ..ghost
        },
    )
    .await;
    assert_eq!(told(&unconnected), told(&ghost));
}
