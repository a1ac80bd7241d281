//! The readings of eligibility.md that are easy to get wrong, each by itself. The vectors cover the rest.

use super::*;
use crate::domain::directory::Audience;

fn name() -> Name {
    Name::parse("Somebody".to_owned()).unwrap()
}

/// Active, and on the care team of a chart at a location that they list; without a role.
fn member() -> StaffFacts {
    StaffFacts {
        name: name(),
        active: true,
        available_for_portal_messages: false,
        all_locations: false,
        lists_location: true,
        on_care_team: true,
        barred: false,
        listed_places: Places::default(),
    }
}

fn facts(setting: Messaging, staff: StaffFacts) -> Facts {
    Facts {
        general: Some(setting),
        chart: Some(ChartFacts {
            patient_name: name(),
            url: None,
            location_setting: None,
        }),
        staff: BTreeMap::from([("s".parse().unwrap(), staff)]),
        portal_user: Some(PortalUserFacts {
            name: name(),
            status: AccountStatus::Active,
            connection: Some((Relationship::Guardian, ConnectionStatus::Confirmed)),
        }),
        all_places: Places::default(),
    }
}

fn portal(action: Action, sender: Sender, facts: &Facts) -> Vec<Reason> {
    let question = Question::Portal(PortalQuestion {
        action,
        sender,
        staff: "s".parse().unwrap(),
        portal_user: "u".parse().unwrap(),
        chart: "c".parse().unwrap(),
    });
    decide(&question, facts)
        .denials
        .into_iter()
        .map(|denial| denial.reason)
        .collect()
}

fn among_staff(action: Action, chart: Option<&str>, facts: &Facts) -> Vec<Reason> {
    let chart = chart.map(|id| id.parse().unwrap());
    let recipients = vec!["r".parse().unwrap(), "q".parse().unwrap()];
    let question = StaffQuestion::new(action, "s".parse().unwrap(), recipients, chart).unwrap();
    let decision = decide(&Question::Staff(question), facts);
    decision.denials.into_iter().map(|denial| denial.reason).collect()
}

#[test]
fn a_team_member_without_the_role_can_be_written_to_and_reply_but_not_start() {
    let facts = facts(Messaging::Enabled(Audience::CareTeamOnly), member());
    assert_eq!(portal(Action::Start, Sender::Staff, &facts), [Reason::StaffLacksRole]);
    assert_eq!(portal(Action::Start, Sender::PortalUser, &facts), []);
    assert_eq!(portal(Action::Reply, Sender::Staff, &facts), []);
    assert_eq!(portal(Action::Reply, Sender::PortalUser, &facts), []);
}

#[test]
fn selected_users_need_the_role_and_no_place_on_the_team() {
    let stranger = StaffFacts {
        on_care_team: false,
        available_for_portal_messages: true,
        ..member()
    };
    let setting = Messaging::Enabled(Audience::SelectedUsers);
    assert_eq!(portal(Action::Start, Sender::Staff, &facts(setting, stranger)), []);
    for (action, sender) in [(Action::Start, Sender::PortalUser), (Action::Reply, Sender::Staff)] {
        assert_eq!(
            portal(action, sender, &facts(setting, member())),
            [Reason::StaffLacksRole]
        );
    }
}

#[test]
fn a_locations_own_setting_replaces_the_general_one_whole() {
    let mut facts = facts(Messaging::Enabled(Audience::CareTeamOnly), member());
    facts.chart.as_mut().unwrap().location_setting = Some(Messaging::Disabled(None));
    assert_eq!(
        portal(Action::Reply, Sender::Staff, &facts),
        [Reason::MessagingDisabled]
    );
}

#[test]
fn where_nothing_was_ever_set_messaging_is_off() {
    let mut facts = facts(Messaging::Enabled(Audience::CareTeamOnly), member());
    facts.general = None;
    assert_eq!(
        portal(Action::Reply, Sender::Staff, &facts),
        [Reason::MessagingDisabled]
    );
}

#[test]
fn only_a_confirmed_connection_counts() {
    for status in [ConnectionStatus::Pending, ConnectionStatus::Revoked] {
        let mut facts = facts(Messaging::Enabled(Audience::CareTeamOnly), member());
        facts.portal_user.as_mut().unwrap().connection = Some((Relationship::Patient, status));
        assert_eq!(
            portal(Action::Reply, Sender::Staff, &facts),
            [Reason::PortalUserNotConnected]
        );
    }
}

#[test]
fn without_a_chart_one_place_that_the_sender_reaches_is_enough() {
    let mut facts = facts(Messaging::Disabled(None), member());
    facts.chart = None;
    for id in ["r", "q"] {
        facts.staff.insert(id.parse().unwrap(), member());
    }
    facts.all_places = Places {
        own_setting_enables: true,
        follows_general: true,
    };
    assert_eq!(among_staff(Action::Reply, None, &facts), [Reason::MessagingDisabled]);
    let sender = facts.staff.get_mut(&"s".parse().unwrap()).unwrap();
    sender.listed_places.own_setting_enables = true;
    assert_eq!(among_staff(Action::Reply, None, &facts), []);
    let sender = facts.staff.get_mut(&"s".parse().unwrap()).unwrap();
    sender.listed_places = Places::default();
    sender.all_locations = true;
    assert_eq!(among_staff(Action::Reply, None, &facts), []);
}

#[test]
fn a_reply_among_staff_needs_one_active_other() {
    let mut facts = facts(Messaging::Enabled(Audience::CareTeamOnly), member());
    // Neither of the others is known any more.
    assert_eq!(
        among_staff(Action::Reply, Some("c"), &facts),
        [Reason::NoActiveRecipient]
    );
    assert_eq!(
        among_staff(Action::Start, Some("c"), &facts),
        [Reason::UnknownStaff, Reason::UnknownStaff]
    );
    facts.staff.insert("q".parse().unwrap(), member());
    assert_eq!(among_staff(Action::Reply, Some("c"), &facts), []);
}
