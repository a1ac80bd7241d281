//! What the pure rules say of a reply, from what a test has written into the directory.

use std::collections::BTreeMap;

use carepost_eligibility::domain::{
    decision::{
        self, Action, ChartFacts, Facts, Places, PortalQuestion, PortalUserFacts, Question, Sender, StaffFacts,
        StaffQuestion,
    },
    directory::{self, ConnectionStatus, Messaging, Name, WebUrl},
};
use carepost_identity::{PersonId, StaffId};
use carepost_messaging::domain::{ChartAccess, Decision, Denial, Parties, ReplyAbility, Standing};
use carepost_proto::{
    common::v1::EligibilityReason,
    eligibility::v1::{self as proto, AccountStatus, Audience, MessagingSettings, PortalUser, Staff, StaffRole},
    messaging::v1::Conversation,
};

use crate::hospital::{Hospital, Told};

/// What the rules say of a reply, as the reader may know it, and the link that they may see.
pub fn by_the_rules(hospital: &Hospital, reader: &PersonId, conversation: &Conversation) -> (Told, String) {
    let everybody = conversation.participants.iter();
    let everybody = everybody.map(|party| PersonId::parse(&party.person).unwrap());
    let others: Vec<_> = everybody.filter(|person| person != reader).collect();
    let chart = conversation.regarding.as_ref();
    let chart = chart.map(|regarding| regarding.chart_id.parse().unwrap());
    let parties = Parties::between(reader, &others, chart).unwrap();
    let question = question(&parties);
    let facts = facts(hospital, &question);
    let decision = decision(decision::decide(&question, &facts), &facts);
    let standing = Standing::of(&parties, &decision);
    let denials = match standing.reply {
        ReplyAbility::Allowed => Vec::new(),
        ReplyAbility::Denied(denials) => denials,
        ReplyAbility::Unknown => panic!("the rules always answer"),
    };
    let told = denials.into_iter().map(|denial| {
        let reason = denial.reason.as_str_name().trim_start_matches("ELIGIBILITY_REASON_");
        let party = denial.party.map(|party| party.to_string()).unwrap_or_default();
        (reason.to_owned(), party, denial.remedy)
    });
    (told.collect(), standing.view_patient_url.unwrap_or_default())
}

fn question(parties: &Parties) -> Question {
    match parties.clone() {
        Parties::Portal {
            staff,
            portal_user,
            chart,
            sent_by_portal_user,
        } => Question::Portal(PortalQuestion {
            action: Action::Reply,
            sender: if sent_by_portal_user {
                Sender::PortalUser
            } else {
                Sender::Staff
            },
            staff,
            portal_user,
            chart,
        }),
        Parties::Staff {
            sender,
            recipients,
            chart,
        } => Question::Staff(StaffQuestion::new(Action::Reply, sender, recipients, chart).unwrap()),
    }
}

/// The decision of the rules, as messaging would read it.
fn decision(decided: decision::Decision, facts: &Facts) -> Decision {
    let denials = decided.denials.iter().cloned().map(|denial| {
        let name = format!("{:?}", denial.reason);
        let reason = (1..=14)
            .filter_map(|number| EligibilityReason::try_from(number).ok())
            .find(|reason| format!("{reason:?}") == name);
        Denial {
            reason: reason.unwrap(),
            party: denial.party,
            remedy: decided.remedy_for_sender(denial.reason).to_owned(),
        }
    });
    let access = decided.staff_chart_access.map(|access| ChartAccess {
        no_location_access: access.no_location_access,
        barred: access.barred,
    });
    let url = facts.chart.as_ref().and_then(|chart| chart.url.clone());
    Decision {
        denials: denials.collect(),
        names: BTreeMap::new(),
        patient_name: None,
        chart_url: url.map(String::from),
        staff_chart_access: access,
        portal_user_connected: decided.portal_user_connected,
    }
}

fn name() -> Name {
    Name::parse("Somebody".to_owned()).unwrap()
}

/// The facts of a question, as eligibility.md words them, from what was written.
fn facts(hospital: &Hospital, question: &Question) -> Facts {
    let chart = question.chart().and_then(|id| hospital.charts.get(id.as_str()));
    let chart = chart.filter(|chart| !chart.deleted).map(|chart| &chart.record);
    let setting = |location: Option<&str>| {
        let stored = hospital.settings.get(&location.map(str::to_owned));
        stored.map(messaging)
    };
    let staff = question.staff().filter_map(|id| {
        let stored = hospital.staff.get(id.as_str())?;
        Some((
            id.clone(),
            staff_facts(hospital, id, stored.deleted, &stored.record, chart),
        ))
    });
    Facts {
        general: setting(None),
        chart: chart.map(|chart| ChartFacts {
            patient_name: name(),
            url: (!chart.url.is_empty()).then(|| WebUrl::parse(chart.url.clone()).unwrap()),
            location_setting: setting(Some(&chart.location_id)),
        }),
        staff: staff.collect(),
        portal_user: question.portal_user().and_then(|id| {
            let stored = hospital.portal_users.get(id.as_str())?;
            let chart = question.chart()?.as_str();
            Some(user_facts(stored.deleted, &stored.record, chart))
        }),
        all_places: places(hospital, |_| true),
    }
}

fn staff_facts(
    hospital: &Hospital,
    id: &StaffId,
    deleted: bool,
    staff: &Staff,
    chart: Option<&proto::Chart>,
) -> StaffFacts {
    let among = |ids: &[String]| ids.iter().any(|other| other == id.as_str());
    StaffFacts {
        name: name(),
        active: staff.active && !deleted,
        available_for_portal_messages: staff.roles().any(|role| role == StaffRole::AvailableForPortalMessages),
        all_locations: staff.all_locations,
        lists_location: chart.is_some_and(|chart| staff.location_ids.contains(&chart.location_id)),
        on_care_team: chart.is_some_and(|chart| among(&chart.care_team_ids)),
        barred: chart.is_some_and(|chart| among(&chart.barred_staff_ids)),
        listed_places: places(hospital, |location| staff.location_ids.contains(location)),
    }
}

fn user_facts(deleted: bool, user: &PortalUser, chart: &str) -> PortalUserFacts {
    let status = match user.status() {
        _ if deleted => directory::AccountStatus::Disabled,
        AccountStatus::NotInvited => directory::AccountStatus::NotInvited,
        AccountStatus::Invited => directory::AccountStatus::Invited,
        AccountStatus::Accepted => directory::AccountStatus::Accepted,
        AccountStatus::Active => directory::AccountStatus::Active,
        AccountStatus::Disabled | AccountStatus::Unspecified => directory::AccountStatus::Disabled,
    };
    let connection = user.connections.iter().find(|connection| connection.chart_id == chart);
    let connection = connection.map(|connection| match connection.status() {
        proto::ConnectionStatus::Confirmed => ConnectionStatus::Confirmed,
        proto::ConnectionStatus::Revoked => ConnectionStatus::Revoked,
        _ => ConnectionStatus::Pending,
    });
    PortalUserFacts {
        name: name(),
        status,
        connection: connection.map(|status| (directory::Relationship::Guardian, status)),
    }
}

fn messaging(settings: &MessagingSettings) -> Messaging {
    let audience = match settings.audience() {
        Audience::CareTeamOnly => Some(directory::Audience::CareTeamOnly),
        Audience::SelectedUsers => Some(directory::Audience::SelectedUsers),
        Audience::Unspecified => None,
    };
    Messaging::parse(settings.enabled, audience).unwrap()
}

fn places(hospital: &Hospital, among: impl Fn(&String) -> bool) -> Places {
    let locations = hospital.locations.iter().filter(|location| among(location));
    let settings: Vec<_> = locations
        .map(|location| hospital.settings.get(&Some(location.clone())))
        .collect();
    Places {
        own_setting_enables: settings.iter().flatten().any(|setting| setting.enabled),
        follows_general: settings.iter().any(Option::is_none),
    }
}
