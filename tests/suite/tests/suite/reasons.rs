//! Each reason of eligibility.md in a live conversation, through the whole suite: made true through the API, seen in the list,
//! in the conversation and when sending, with its remedy; made false, and the next reply goes through.
//!
//! Three never hold in a conversation that exists, and the tests say so where they come closest:
//! - UNKNOWN_STAFF and UNKNOWN_PORTAL_USER: whoever is in a conversation was known, and a deletion leaves a tombstone, which
//!   decides as inactive or disabled.
//! - STAFF_LACKS_ROLE in a conversation among staff, STAFF_NO_LOCATION_ACCESS, STAFF_BARRED_FROM_CHART, RECIPIENT_INACTIVE and
//!   RECIPIENT_BARRED_FROM_CHART there: they are about starting one.

use carepost_proto::{
    eligibility::v1::{AccountStatus, Audience, ConnectionStatus, MessagingSettings},
    messaging::v1::{Conversation, GetUnreadCountRequest, Mailbox},
};
use carepost_suite::wait::{LONG, until};

use crate::hospital::{Hospital, Told, chart, connection, on, portal_user, refusal, staff};

const NURSE: &str = "staff/nurse";
const DOCTOR: &str = "staff/doctor";
const GUARDIAN: &str = "portal/guardian";

/// A nurse and a doctor who care for a patient, and the guardian, at a clinic; and another clinic.
async fn hospital(hint: &str) -> Hospital {
    let mut hospital = Hospital::start(hint, &["clinic", "annex"]).await;
    hospital.put_staff(staff("nurse", &["clinic"])).await;
    hospital.put_staff(staff("doctor", &["clinic"])).await;
    hospital.put_chart(chart("c", "clinic", &["nurse", "doctor"])).await;
    hospital.put_portal_user(portal_user("guardian", &["c"])).await;
    hospital
}

type Expected<'a> = &'a [(&'a str, &'a str)];

/// The person is told these reasons, each with a remedy.
async fn is_told(hospital: &Hospital, person: &str, id: &str, expected: Expected<'_>) {
    let told = hospital.told(person, id).await;
    assert!(told.iter().all(|(_, _, remedy)| remedy.len() > 10), "{told:?}");
    let told: Vec<_> = told
        .iter()
        .map(|(reason, party, _)| (reason.as_str(), party.as_str()))
        .collect();
    assert_eq!(told, expected, "{person}");
}

/// Both parties of the portal conversation are told these reasons.
async fn both_are_told(hospital: &Hospital, id: &str, expected: Expected<'_>) {
    is_told(hospital, NURSE, id, expected).await;
    is_told(hospital, GUARDIAN, id, expected).await;
}

/// The base state again: whoever could not reply can.
async fn mend(hospital: &mut Hospital, id: &str) {
    hospital.put_staff(staff("nurse", &["clinic"])).await;
    hospital.put_chart(chart("c", "clinic", &["nurse", "doctor"])).await;
    hospital.put_portal_user(portal_user("guardian", &["c"])).await;
    hospital.set(None, Some(on(Audience::CareTeamOnly))).await;
    hospital.set(Some("clinic"), None).await;
    both_are_told(hospital, id, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_every_reason_about_the_chart_and_its_place_comes_and_goes() {
    let mut hospital = hospital("reasons_place").await;
    let id = hospital.begin(NURSE, &[GUARDIAN], Some("c")).await.unwrap();
    both_are_told(&hospital, &id, &[]).await;

    hospital.delete_chart("c").await;
    both_are_told(&hospital, &id, &[("UNKNOWN_CHART", "")]).await;
    let opened = hospital.opened(NURSE, &id).await;
    let regarding = opened.regarding.unwrap();
    assert_eq!(
        (regarding.patient_name.as_str(), regarding.view_patient_url.as_str()),
        ("Patient c", ""),
        "what was written stays readable, and there is nothing to link to"
    );
    mend(&mut hospital, &id).await;

    let off = MessagingSettings {
        enabled: false,
        ..on(Audience::CareTeamOnly)
    };
    hospital.set(None, Some(off)).await;
    both_are_told(&hospital, &id, &[("MESSAGING_DISABLED", "")]).await;
    // The location's own setting replaces the general one, whole.
    hospital.set(Some("clinic"), Some(on(Audience::CareTeamOnly))).await;
    both_are_told(&hospital, &id, &[]).await;
    hospital.set(None, Some(on(Audience::CareTeamOnly))).await;
    hospital.set(Some("clinic"), Some(off)).await;
    both_are_told(&hospital, &id, &[("MESSAGING_DISABLED", "")]).await;
    mend(&mut hospital, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_every_reason_about_staff_comes_and_goes() {
    let mut hospital = hospital("reasons_staff").await;
    let id = hospital.begin(GUARDIAN, &[NURSE], Some("c")).await.unwrap();
    let nurse = staff("nurse", &["clinic"]);

    let mut inactive = nurse.clone();
    inactive.active = false;
    hospital.put_staff(inactive).await;
    both_are_told(&hospital, &id, &[("STAFF_INACTIVE", NURSE)]).await;
    mend(&mut hospital, &id).await;
    // No UNKNOWN_STAFF: the tombstone of the nurse is still known, and inactive.
    hospital.delete_staff("nurse").await;
    both_are_told(&hospital, &id, &[("STAFF_INACTIVE", NURSE)]).await;
    mend(&mut hospital, &id).await;

    let mut without_role = nurse.clone();
    without_role.roles.clear();
    hospital.put_staff(without_role).await;
    both_are_told(&hospital, &id, &[]).await;
    hospital.set(None, Some(on(Audience::SelectedUsers))).await;
    both_are_told(&hospital, &id, &[("STAFF_LACKS_ROLE", NURSE)]).await;
    mend(&mut hospital, &id).await;

    // What is about the staff's access to the chart, they are told alone; everybody else as well.
    let mut elsewhere = nurse;
    elsewhere.location_ids = vec!["annex".to_owned()];
    hospital.put_staff(elsewhere).await;
    both_are_told(&hospital, &id, &[("STAFF_NO_LOCATION_ACCESS", NURSE)]).await;
    assert_eq!(link(&hospital, NURSE, &id).await, "");
    mend(&mut hospital, &id).await;
    assert_eq!(link(&hospital, NURSE, &id).await, "https://emr.example.org/charts/c");
    assert_eq!(link(&hospital, GUARDIAN, &id).await, "");

    let mut barring = chart("c", "clinic", &["doctor"]);
    barring.barred_staff_ids = vec!["nurse".to_owned()];
    hospital.put_chart(barring).await;
    is_told(&hospital, NURSE, &id, &[("STAFF_BARRED_FROM_CHART", NURSE)]).await;
    let all = [("STAFF_BARRED_FROM_CHART", NURSE), ("STAFF_NOT_ON_CARE_TEAM", NURSE)];
    is_told(&hospital, GUARDIAN, &id, &all).await;
    assert_eq!(link(&hospital, NURSE, &id).await, "");
    mend(&mut hospital, &id).await;

    hospital.put_chart(chart("c", "clinic", &["doctor"])).await;
    both_are_told(&hospital, &id, &[("STAFF_NOT_ON_CARE_TEAM", NURSE)]).await;
    mend(&mut hospital, &id).await;
}

async fn link(hospital: &Hospital, person: &str, id: &str) -> String {
    let opened = hospital.opened(person, id).await;
    opened.regarding.unwrap().view_patient_url
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_every_reason_about_the_portal_user_comes_and_goes() {
    let mut hospital = hospital("reasons_portal").await;
    let id = hospital.begin(NURSE, &[GUARDIAN], Some("c")).await.unwrap();
    let guardian = portal_user("guardian", &["c"]);

    for status in [
        AccountStatus::NotInvited,
        AccountStatus::Invited,
        AccountStatus::Accepted,
        AccountStatus::Disabled,
    ] {
        let mut inactive = guardian.clone();
        inactive.set_status(status);
        hospital.put_portal_user(inactive).await;
        both_are_told(&hospital, &id, &[("PORTAL_ACCOUNT_NOT_ACTIVE", GUARDIAN)]).await;
    }
    mend(&mut hospital, &id).await;
    // No UNKNOWN_PORTAL_USER: the tombstone of the guardian is still known, and disabled.
    hospital.delete_portal_user("guardian").await;
    both_are_told(&hospital, &id, &[("PORTAL_ACCOUNT_NOT_ACTIVE", GUARDIAN)]).await;
    mend(&mut hospital, &id).await;

    for status in [Some(ConnectionStatus::Pending), Some(ConnectionStatus::Revoked), None] {
        let mut unconnected = guardian.clone();
        unconnected.connections = status.map(|status| connection("c", status)).into_iter().collect();
        hospital.put_portal_user(unconnected).await;
        is_told(&hospital, NURSE, &id, &[("PORTAL_USER_NOT_CONNECTED", GUARDIAN)]).await;
        // To the guardian the chart is none of theirs: whether there is one, they are not told.
        is_told(&hospital, GUARDIAN, &id, &[("UNKNOWN_CHART", "")]).await;
    }
    mend(&mut hospital, &id).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_every_reason_among_staff_comes_and_goes() {
    let mut hospital = hospital("reasons_among_staff").await;
    let with_chart = hospital.begin(NURSE, &[DOCTOR], Some("c")).await.unwrap();
    let without = hospital.begin(NURSE, &[DOCTOR], None).await.unwrap();
    let nurse = staff("nurse", &["clinic"]);

    hospital.delete_chart("c").await;
    is_told(&hospital, DOCTOR, &with_chart, &[("UNKNOWN_CHART", "")]).await;
    is_told(&hospital, DOCTOR, &without, &[]).await;
    hospital.put_chart(chart("c", "clinic", &[])).await;
    is_told(&hospital, DOCTOR, &with_chart, &[]).await;

    // Without a chart, one location that the sender reaches is enough: the nurse reaches the clinic, the doctor the annex too.
    let off = MessagingSettings {
        enabled: false,
        ..on(Audience::CareTeamOnly)
    };
    hospital.set(Some("clinic"), Some(off)).await;
    hospital.put_staff(staff("doctor", &["clinic", "annex"])).await;
    is_told(&hospital, NURSE, &without, &[("MESSAGING_DISABLED", "")]).await;
    is_told(&hospital, DOCTOR, &without, &[]).await;
    is_told(&hospital, DOCTOR, &with_chart, &[("MESSAGING_DISABLED", "")]).await;
    hospital.set(Some("clinic"), None).await;
    is_told(&hospital, NURSE, &without, &[]).await;
    is_told(&hospital, DOCTOR, &with_chart, &[]).await;

    let mut inactive = nurse.clone();
    inactive.active = false;
    hospital.put_staff(inactive).await;
    for id in [&with_chart, &without] {
        is_told(&hospital, NURSE, id, &[("STAFF_INACTIVE", NURSE)]).await;
        // RECIPIENT_INACTIVE is for a start; in a reply, somebody has to be left.
        is_told(&hospital, DOCTOR, id, &[("NO_ACTIVE_RECIPIENT", "")]).await;
    }
    let start = hospital.begin(DOCTOR, &[NURSE], None).await.unwrap_err();
    assert_eq!(short(&refusal(&start)), [("RECIPIENT_INACTIVE", NURSE)]);
    hospital.put_staff(nurse.clone()).await;
    is_told(&hospital, NURSE, &without, &[]).await;
    is_told(&hospital, DOCTOR, &with_chart, &[]).await;

    // Deleted is inactive, here as well.
    hospital.delete_staff("nurse").await;
    is_told(&hospital, NURSE, &without, &[("STAFF_INACTIVE", NURSE)]).await;
    is_told(&hospital, DOCTOR, &without, &[("NO_ACTIVE_RECIPIENT", "")]).await;
    hospital.put_staff(nurse.clone()).await;
    is_told(&hospital, DOCTOR, &without, &[]).await;

    only_for_a_start(&mut hospital, &with_chart).await;
}

/// What keeps staff from starting with a chart does not keep them from answering colleagues; but the link goes.
async fn only_for_a_start(hospital: &mut Hospital, id: &str) {
    let mut barring = chart("c", "clinic", &[]);
    barring.barred_staff_ids = vec!["nurse".to_owned()];
    hospital.put_chart(barring).await;
    let mut powerless = staff("nurse", &["annex"]);
    powerless.roles.clear();
    hospital.put_staff(powerless).await;
    is_told(hospital, NURSE, id, &[]).await;
    is_told(hospital, DOCTOR, id, &[]).await;
    assert_eq!(link(hospital, NURSE, id).await, "");
    assert_eq!(link(hospital, DOCTOR, id).await, "https://emr.example.org/charts/c");
    let by_doctor = hospital.begin(DOCTOR, &[NURSE], Some("c")).await.unwrap_err();
    assert_eq!(short(&refusal(&by_doctor)), [("RECIPIENT_BARRED_FROM_CHART", NURSE)]);
    let by_nurse = hospital.begin(NURSE, &[DOCTOR], Some("c")).await.unwrap_err();
    let kept = [("STAFF_NO_LOCATION_ACCESS", NURSE), ("STAFF_BARRED_FROM_CHART", NURSE)];
    assert_eq!(short(&refusal(&by_nurse)), kept);
    let chartless = hospital.begin(NURSE, &[DOCTOR], None).await.unwrap_err();
    assert_eq!(short(&refusal(&chartless)), [("STAFF_LACKS_ROLE", NURSE)]);
    // The only way to somebody unknown is to start with them, or as them.
    let ghost = hospital.begin(DOCTOR, &["staff/ghost"], None).await.unwrap_err();
    assert_eq!(short(&refusal(&ghost)), [("UNKNOWN_STAFF", "staff/ghost")]);
    let ghost = hospital.begin(DOCTOR, &["portal/ghost"], Some("c")).await.unwrap_err();
    assert_eq!(short(&refusal(&ghost)), [("UNKNOWN_PORTAL_USER", "portal/ghost")]);
}

fn short(told: &Told) -> Vec<(&str, &str)> {
    told.iter()
        .map(|(reason, party, _)| (reason.as_str(), party.as_str()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_a_new_name_travels_from_the_directory_into_conversations() {
    let mut hospital = hospital("names").await;
    let id = hospital.begin(NURSE, &[GUARDIAN], Some("c")).await.unwrap();
    let begun = hospital.opened(GUARDIAN, &id).await;
    let before = mailbox(&hospital).await;
    let mut renamed = staff("nurse", &["clinic"]);
    renamed.name = "Nurse Newname".to_owned();
    hospital.put_staff(renamed).await;
    // Nobody reads the conversation: it is the event alone that brings the name, and it is a change of the guardian's mailbox.
    assert!(until(LONG, async || mailbox(&hospital).await.revision == before.revision + 1).await);
    assert_eq!(mailbox(&hospital).await.unread_count, before.unread_count);
    let opened = hospital.opened(GUARDIAN, &id).await;
    let name = |conversation: &Conversation| {
        let nurse = conversation.participants.iter().find(|party| party.person == NURSE);
        nurse.unwrap().display_name.clone()
    };
    assert_eq!(
        (name(&begun).as_str(), name(&opened).as_str()),
        ("Staff nurse", "Nurse Newname")
    );
}

async fn mailbox(hospital: &Hospital) -> Mailbox {
    let request = GetUnreadCountRequest {};
    let answer = hospital.person(GUARDIAN).get_unread_count(request).await;
    answer.unwrap().into_inner().mailbox.unwrap()
}
