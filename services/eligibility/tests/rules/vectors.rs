//! The cases of eligibility.json (or of the file that `CAREPOST_ELIGIBILITY_VECTORS` names), through the pure function.

use std::{collections::BTreeSet, str::FromStr};

use carepost_eligibility::domain::decision::{
    Action as Doing, Decision, PortalQuestion, Question, RecipientList, Sender, StaffQuestion, decide,
};
use carepost_identity::PersonId;
use carepost_testkit::vectors::{self, Action, Case, Expectation, Query};

use crate::memory::Memory;

#[test]
fn all_cases_of_the_vectors_through_the_function() {
    let sets = vectors::eligibility();
    let mut wrong = Vec::new();
    for (number, set) in sets.iter().enumerate() {
        let memory: Memory = set.directory.import_requests().into_iter().collect();
        wrong.extend(
            set.cases
                .iter()
                .filter(|case| !agrees(&memory, case))
                .map(|case| (number, case)),
        );
    }
    assert!(wrong.is_empty(), "{} cases: {wrong:#?}", wrong.len());
}

fn agrees(memory: &Memory, case: &Case) -> bool {
    match &case.expect {
        Expectation::Recipients { recipients } => {
            let listed = memory.list(&list(&case.query));
            let listed: BTreeSet<String> = listed.iter().map(id_of).collect();
            listed == recipients.iter().cloned().collect()
        }
        Expectation::Decision { allowed, reasons } => {
            let question = question(&case.query);
            let decision = decide(&question, &memory.facts(&question));
            let expected: Vec<_> = reasons
                .iter()
                .map(|given| (given.reason.clone(), given.party.clone()))
                .collect();
            decision.allowed() == *allowed && reasons_of(&decision) == expected
        }
    }
}

fn id_of(person: &PersonId) -> String {
    person.to_string().split_once('/').map(|(_, id)| id.to_owned()).unwrap()
}

/// `StaffLacksRole` is `STAFF_LACKS_ROLE`.
fn reasons_of(decision: &Decision) -> Vec<(String, Option<String>)> {
    let reason = |reason: String| {
        let words = reason.chars().flat_map(|c| [c.is_uppercase().then_some('_'), Some(c)]);
        let words: String = words.flatten().collect();
        words.trim_start_matches('_').to_uppercase()
    };
    let denials = decision.denials.iter();
    denials
        .map(|denial| (reason(format!("{:?}", denial.reason)), denial.party.as_ref().map(id_of)))
        .collect()
}

fn id<T: FromStr<Err: std::fmt::Debug>>(text: &Option<String>) -> T {
    text.as_ref().unwrap().parse().unwrap()
}

fn question(query: &Query) -> Question {
    let portal = |action, sender| {
        Question::Portal(PortalQuestion {
            action,
            sender,
            staff: id(&query.staff),
            portal_user: id(&query.portal_user),
            chart: id(&query.chart),
        })
    };
    let staff = |action| {
        let recipients = query.recipients.iter().map(|id| id.parse().unwrap()).collect();
        let chart = query.chart.as_ref().map(|id| id.parse().unwrap());
        Question::Staff(StaffQuestion::new(action, id(&query.staff), recipients, chart).unwrap())
    };
    match query.action {
        Action::StartPortalByStaff => portal(Doing::Start, Sender::Staff),
        Action::StartPortalByPortalUser => portal(Doing::Start, Sender::PortalUser),
        Action::ReplyPortalByStaff => portal(Doing::Reply, Sender::Staff),
        Action::ReplyPortalByPortalUser => portal(Doing::Reply, Sender::PortalUser),
        Action::StartStaff => staff(Doing::Start),
        Action::ReplyStaff => staff(Doing::Reply),
        other => panic!("{other:?} is no decision"),
    }
}

fn list(query: &Query) -> RecipientList {
    match query.action {
        Action::ListPortalRecipients => RecipientList::PortalUsersForStaff(id(&query.staff), id(&query.chart)),
        Action::ListStaffRecipientsForPortalUser => {
            RecipientList::StaffForPortalUser(id(&query.portal_user), id(&query.chart))
        }
        Action::ListStaffRecipients => {
            let chart = query.chart.as_ref().map(|id| id.parse().unwrap());
            RecipientList::StaffForStaff(id(&query.staff), chart)
        }
        other => panic!("{other:?} is no list"),
    }
}
