//! For random directories and random changes, everybody is told the same about replying when they list, open and send, and it
//! is what the pure rules say of what the directory holds at that moment.

use std::collections::BTreeMap;

use carepost_identity::PersonId;
use carepost_proto::eligibility::v1::{
    AccountStatus, Audience, ConnectionStatus, MessagingSettings, PortalUser, Staff,
};
use futures::future::join_all;

use crate::{
    dice::Dice,
    hospital::{Hospital, chart, connection, on, portal_user, shown, staff},
    rules::by_the_rules,
};

const STAFF: [&str; 4] = ["s1", "s2", "s3", "s4"];
const CHARTS: [&str; 3] = ["c1", "c2", "c3"];
const USERS: [&str; 3] = ["u1", "u2", "u3"];
const LOCATIONS: [&str; 2] = ["north", "south"];
const ROUNDS: usize = 20;

/// A hospital in which everybody may write to everybody, and their conversations.
async fn hospital(hint: &str) -> Hospital {
    let mut hospital = Hospital::start(hint, &LOCATIONS).await;
    for id in STAFF {
        hospital.put_staff(staff(id, &LOCATIONS)).await;
    }
    for (place, id) in CHARTS.into_iter().enumerate() {
        hospital.put_chart(chart(id, LOCATIONS[place % 2], &STAFF)).await;
    }
    for id in USERS {
        hospital.put_portal_user(portal_user(id, &CHARTS)).await;
    }
    for (staff, user, chart) in [
        ("s1", "u1", "c1"),
        ("s1", "u2", "c2"),
        ("s2", "u1", "c1"),
        ("s2", "u3", "c3"),
        ("s3", "u2", "c1"),
        ("s4", "u3", "c2"),
    ] {
        let (staff, user) = (format!("staff/{staff}"), format!("portal/{user}"));
        hospital.begin(&staff, &[&user], Some(chart)).await.unwrap();
    }
    for (sender, others, chart) in [
        ("staff/s1", &["staff/s2"][..], None),
        ("staff/s2", &["staff/s3", "staff/s4"], Some("c1")),
        ("staff/s3", &["staff/s1"], Some("c2")),
        ("staff/s4", &["staff/s1", "staff/s2", "staff/s3"], None),
    ] {
        hospital.begin(sender, others, chart).await.unwrap();
    }
    hospital
}

#[tokio::test(flavor = "multi_thread")]
async fn i6_list_open_and_send_agree_with_each_other_and_with_the_rules() {
    let mut hospital = hospital("agree").await;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in [1, 2, 3] {
        let mut dice = Dice(seed);
        for round in 0..ROUNDS {
            for _ in 0..dice.one(&[1, 2, 3]) {
                change(&mut hospital, &mut dice).await;
            }
            let people = STAFF.map(|id| format!("staff/{id}")).into_iter();
            let people = people.chain(USERS.map(|id| format!("portal/{id}")));
            let hospital = &hospital;
            let compared = people.map(async |person| {
                let place = format!("seed {seed}, round {round}, {person}");
                compare(hospital, &person, &place).await
            });
            for reason in join_all(compared).await.into_iter().flatten() {
                *seen.entry(reason).or_insert(0) += 1;
            }
        }
    }
    // The dice have shown every reason that a reply can have, and replies that go through.
    let expected = [
        "ALLOWED",
        "MESSAGING_DISABLED",
        "NO_ACTIVE_RECIPIENT",
        "PORTAL_ACCOUNT_NOT_ACTIVE",
        "PORTAL_USER_NOT_CONNECTED",
        "STAFF_BARRED_FROM_CHART",
        "STAFF_INACTIVE",
        "STAFF_LACKS_ROLE",
        "STAFF_NOT_ON_CARE_TEAM",
        "STAFF_NO_LOCATION_ACCESS",
        "UNKNOWN_CHART",
    ];
    assert_eq!(
        seen.keys().map(String::as_str).collect::<Vec<_>>(),
        expected,
        "{seen:?}"
    );
}

/// All that a person sees of all their conversations is what the rules say. Gives the reasons, or that there were none.
async fn compare(hospital: &Hospital, person: &str, place: &str) -> Vec<String> {
    let reader = PersonId::parse(person).unwrap();
    let list = hospital.listed(person).await;
    assert!(!list.is_empty());
    let mut reasons = Vec::new();
    for listed in &list {
        let (told, link) = by_the_rules(hospital, &reader, listed);
        let opened = hospital.opened(person, &listed.id).await;
        let place = format!("{place}, {:?} {:?}", opened.participants, opened.regarding);
        for conversation in [listed, &opened] {
            assert_eq!(shown(conversation), told, "{place}");
            let regarding = conversation.regarding.as_ref();
            let shown_link = regarding.map(|regarding| regarding.view_patient_url.as_str());
            assert_eq!(shown_link.unwrap_or_default(), link, "{place}");
        }
        assert_eq!(hospital.replied(person, &listed.id).await, told, "{place}");
        if told.is_empty() {
            reasons.push("ALLOWED".to_owned());
        }
        reasons.extend(told.into_iter().map(|(reason, ..)| reason));
    }
    reasons
}

async fn change(hospital: &mut Hospital, dice: &mut Dice) {
    match dice.one(&[0, 0, 1, 1, 2, 2, 3]) {
        0 => {
            let id = dice.one(&STAFF);
            if dice.percent(10) {
                return hospital.delete_staff(id).await;
            }
            hospital.put_staff(some_staff(id, dice)).await;
        }
        1 => {
            let id = dice.one(&CHARTS);
            if dice.percent(10) {
                return hospital.delete_chart(id).await;
            }
            let mut chart = chart(id, dice.one(&LOCATIONS), &[]);
            chart.care_team_ids = dice.some(&STAFF, 75);
            chart.barred_staff_ids = dice.some(&STAFF, 15);
            if dice.percent(20) {
                chart.url.clear();
            }
            hospital.put_chart(chart).await;
        }
        2 => {
            let id = dice.one(&USERS);
            if dice.percent(10) {
                return hospital.delete_portal_user(id).await;
            }
            hospital.put_portal_user(some_user(id, dice)).await;
        }
        _ => {
            let settings = MessagingSettings {
                enabled: dice.percent(75),
                ..on(dice.one(&[Audience::CareTeamOnly, Audience::SelectedUsers]))
            };
            let location = dice.one(&[None, Some(LOCATIONS[0]), Some(LOCATIONS[1])]);
            let follows = location.is_some() && dice.percent(40);
            hospital.set(location, (!follows).then_some(settings)).await;
        }
    }
}

fn some_staff(id: &str, dice: &mut Dice) -> Staff {
    let mut staff = staff(id, &[]);
    staff.active = dice.percent(75);
    if dice.percent(40) {
        staff.roles.clear();
    }
    staff.all_locations = dice.percent(30);
    staff.location_ids = dice.some(&LOCATIONS, 60);
    staff
}

fn some_user(id: &str, dice: &mut Dice) -> PortalUser {
    let mut user = portal_user(id, &[]);
    if dice.percent(30) {
        user.set_status(dice.one(&[
            AccountStatus::NotInvited,
            AccountStatus::Invited,
            AccountStatus::Accepted,
            AccountStatus::Disabled,
        ]));
    }
    for chart in CHARTS {
        if dice.percent(80) {
            let status = dice.one(&[
                ConnectionStatus::Confirmed,
                ConnectionStatus::Confirmed,
                ConnectionStatus::Confirmed,
                ConnectionStatus::Pending,
                ConnectionStatus::Revoked,
            ]);
            user.connections.push(connection(chart, status));
        }
    }
    user
}
