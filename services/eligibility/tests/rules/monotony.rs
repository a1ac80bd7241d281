//! Taking away a role, a location, a connection or a care-team place never turns a denial into an allowance.

use std::collections::{BTreeMap, BTreeSet};

use carepost_eligibility::domain::{
    decision::{Action, PortalQuestion, Question, Reason, Sender, StaffQuestion, decide},
    directory::{AccountStatus, Audience, ConnectionStatus, Messaging},
};
use carepost_identity::{ChartId, LocationId, PortalUserId, StaffId};
use proptest::{
    collection::{btree_map, btree_set},
    option,
    prelude::*,
    sample::{Index, select},
};

use crate::memory::{Chart, Memory, PortalUser, Staff};

/// How many there are of each kind; one id more is unknown.
const STAFF: usize = 4;
const LOCATIONS: usize = 3;
const CHARTS: usize = 2;
const PORTAL_USERS: usize = 2;

fn staff_id(number: usize) -> StaffId {
    StaffId::parse(format!("s{number}")).unwrap()
}

fn location_id(number: usize) -> LocationId {
    LocationId::parse(format!("l{number}")).unwrap()
}

fn chart_id(number: usize) -> ChartId {
    ChartId::parse(format!("c{number}")).unwrap()
}

fn portal_user_id(number: usize) -> PortalUserId {
    PortalUserId::parse(format!("p{number}")).unwrap()
}

fn messaging() -> impl Strategy<Value = Option<Messaging>> {
    select(vec![
        None,
        Some(Messaging::Disabled(None)),
        Some(Messaging::Enabled(Audience::CareTeamOnly)),
        Some(Messaging::Enabled(Audience::SelectedUsers)),
    ])
}

/// Mostly yes: else hardly anything would be allowed.
fn mostly() -> impl Strategy<Value = bool> {
    prop::bool::weighted(0.8)
}

fn staff() -> impl Strategy<Value = Staff> {
    // One location more than there are: staff may list one that does not exist.
    let locations = btree_set((0..=LOCATIONS).prop_map(location_id), 0..=LOCATIONS);
    (mostly(), mostly(), any::<bool>(), locations).prop_map(|(active, available, all_locations, locations)| Staff {
        active,
        available,
        all_locations,
        locations,
    })
}

fn chart() -> impl Strategy<Value = Chart> {
    let some_staff = |most| btree_set((0..STAFF).prop_map(staff_id), 0..=most);
    (0..LOCATIONS, some_staff(STAFF), some_staff(1)).prop_map(|(location, care_team, barred)| Chart {
        location: location_id(location),
        care_team,
        barred,
    })
}

fn portal_user() -> impl Strategy<Value = PortalUser> {
    use ConnectionStatus::{Confirmed, Pending, Revoked};
    let status = select(vec![
        AccountStatus::Active,
        AccountStatus::Active,
        AccountStatus::Accepted,
    ]);
    let connection = select(vec![Confirmed, Confirmed, Pending, Revoked]);
    let connections = btree_map((0..=CHARTS).prop_map(chart_id), connection, 0..=CHARTS);
    (status, connections).prop_map(|(status, connections)| PortalUser { status, connections })
}

fn numbered<K: Ord, V>(id: fn(usize) -> K, values: impl IntoIterator<Item = V>) -> BTreeMap<K, V> {
    values
        .into_iter()
        .enumerate()
        .map(|(number, value)| (id(number), value))
        .collect()
}

prop_compose! {
    fn directory()(
        general in messaging(),
        locations in prop::collection::vec(messaging(), LOCATIONS),
        staff in prop::collection::vec(staff(), STAFF),
        charts in prop::collection::vec(chart(), CHARTS),
        portal_users in prop::collection::vec(portal_user(), PORTAL_USERS),
    ) -> Memory {
        Memory {
            general,
            locations: numbered(location_id, locations),
            staff: numbered(staff_id, staff),
            charts: numbered(chart_id, charts),
            portal_users: numbered(portal_user_id, portal_users),
        }
    }
}

fn action() -> impl Strategy<Value = Action> {
    select(vec![Action::Start, Action::Reply])
}

prop_compose! {
    fn portal_question()(
        action in action(),
        sender in select(vec![Sender::Staff, Sender::PortalUser]),
        staff in 0..=STAFF, portal_user in 0..=PORTAL_USERS, chart in 0..=CHARTS,
    ) -> Question {
        Question::Portal(PortalQuestion {
            action, sender, staff: staff_id(staff), portal_user: portal_user_id(portal_user), chart: chart_id(chart),
        })
    }
}

prop_compose! {
    fn staff_question()(
        action in action(),
        sender in 0..STAFF, others in btree_set(0..=STAFF, 1..=3), chart in option::of(0..=CHARTS),
    ) -> Option<Question> {
        let recipients = others.into_iter().filter(|other| *other != sender).map(staff_id).collect();
        let question = StaffQuestion::new(action, staff_id(sender), recipients, chart.map(chart_id));
        question.ok().map(Question::Staff)
    }
}

fn question() -> impl Strategy<Value = Question> {
    prop_oneof![
        portal_question(),
        staff_question().prop_filter_map("no recipient is left", |question| question)
    ]
}

/// Every directory that has one thing less.
fn with_one_thing_less(memory: &Memory) -> Vec<Memory> {
    let mut less = Vec::new();
    for (id, staff) in &memory.staff {
        let mut change = |change: &dyn Fn(&mut Staff)| {
            let mut memory = memory.clone();
            change(memory.staff.get_mut(id).unwrap());
            less.push(memory);
        };
        change(&|staff| staff.available = false);
        change(&|staff| staff.all_locations = false);
        for location in &staff.locations {
            change(&|staff| staff.locations.retain(|listed| listed != location));
        }
    }
    for (id, chart) in &memory.charts {
        for staff in &chart.care_team {
            let mut memory = memory.clone();
            memory.charts.get_mut(id).unwrap().care_team.remove(staff);
            less.push(memory);
        }
    }
    for (id, user) in &memory.portal_users {
        for chart in user.connections.keys() {
            let mut memory = memory.clone();
            memory.portal_users.get_mut(id).unwrap().connections.remove(chart);
            less.push(memory);
        }
    }
    less
}

fn allowed(memory: &Memory, question: &Question) -> bool {
    decide(question, &memory.facts(question)).allowed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn taking_away_never_turns_a_denial_into_an_allowance(memory in directory(), question in question()) {
        let before = allowed(&memory, &question);
        for less in with_one_thing_less(&memory) {
            prop_assert!(before || !allowed(&less, &question), "allowed with {:?}", less);
        }
    }

    #[test]
    fn the_order_of_denials_is_fixed(memory in directory(), question in question()) {
        let denials = decide(&question, &memory.facts(&question)).denials;
        prop_assert!(denials.is_sorted());
        let distinct: BTreeSet<_> = denials.iter().collect();
        prop_assert_eq!(distinct.len(), denials.len());
    }

    #[test]
    fn unknown_parties_hide_every_other_reason(memory in directory(), question in question(), gone in any::<Index>()) {
        let mut memory = memory;
        let staff: Vec<_> = question.staff().cloned().collect();
        memory.staff.remove(&staff[0]);
        if let Some(user) = question.portal_user().filter(|_| gone.index(2) == 0) {
            memory.portal_users.remove(user);
        }
        let denials = decide(&question, &memory.facts(&question)).denials;
        prop_assert!(denials.iter().all(|denial| denial.reason <= Reason::UnknownPortalUser));
        prop_assert!(!denials.is_empty());
    }
}

/// The property above would hold of a function that allows nothing.
#[test]
fn enough_of_the_questions_are_allowed() {
    use proptest::{strategy::ValueTree, test_runner::TestRunner};
    let mut runner = TestRunner::deterministic();
    let mut yes = 0;
    for _ in 0..1_000 {
        let memory = directory().new_tree(&mut runner).unwrap().current();
        let question = question().new_tree(&mut runner).unwrap().current();
        yes += usize::from(allowed(&memory, &question));
    }
    assert!((50..950).contains(&yes), "{yes} of 1,000 are allowed");
}
