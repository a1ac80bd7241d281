//! The cases of eligibility.json (or of the file that `CAREPOST_ELIGIBILITY_VECTORS` names), through the service's own API.

use std::collections::BTreeSet;

use carepost_proto::eligibility::v1::{
    self as proto, BatchCheckEligibilityRequest, CheckEligibilityRequest, ListEligibleRecipientsRequest, PortalParties,
    PortalUsersForStaff, Question, StaffForPortalUser, StaffForStaff, StaffParties,
    list_eligible_recipients_request::List, question::Parties,
};
use carepost_testkit::vectors::{self, Action, Case, Expectation, Query, VectorSet};

use crate::support::{Asking, Column, Service, on_both};

on_both!(all_cases_of_the_vectors_through_grpc);
async fn all_cases_of_the_vectors_through_grpc(column: Column) {
    let service = Service::start(column, "vectors").await;
    let sets = vectors::eligibility();
    let mut wrong = Vec::new();
    for (number, set) in sets.iter().enumerate() {
        let organization = format!("set-{number}");
        import(&service, &organization, set).await;
        let mut ask = service.ask(&organization);
        for case in &set.cases {
            let agrees = match &case.expect {
                Expectation::Recipients { recipients } => {
                    list(&mut ask, &case.query).await == recipients.iter().cloned().collect()
                }
                Expectation::Decision { .. } => agrees(&check(&mut ask, &case.query).await, &case.expect),
            };
            if !agrees {
                wrong.push((number, case));
            }
        }
        wrong.extend(in_batches(&mut ask, set).await.into_iter().map(|case| (number, case)));
    }
    assert!(wrong.is_empty(), "{} cases: {wrong:#?}", wrong.len());
}

async fn import(service: &Service, organization: &str, set: &VectorSet) {
    let directory = set.directory.clone().with_organization_id(organization);
    let answer = service.import(organization, directory.import_requests()).await;
    assert_eq!(answer.refused, 0, "{:?}", answer.refusals);
}

async fn check(ask: &mut Asking, query: &Query) -> proto::Decision {
    let question = Some(question(query));
    let answer = ask
        .check_eligibility(CheckEligibilityRequest { question })
        .await
        .unwrap();
    answer.into_inner().decision.unwrap()
}

/// The same decisions again, many at once; those that come out otherwise.
async fn in_batches<'a>(ask: &mut Asking, set: &'a VectorSet) -> Vec<&'a Case> {
    let is_decision = |case: &&Case| matches!(case.expect, Expectation::Decision { .. });
    let cases: Vec<_> = set.cases.iter().filter(is_decision).collect();
    let mut wrong = Vec::new();
    for chunk in cases.chunks(100) {
        let questions = chunk.iter().map(|case| question(&case.query)).collect();
        let answer = ask
            .batch_check_eligibility(BatchCheckEligibilityRequest { questions })
            .await;
        let decisions = answer.unwrap().into_inner().decisions;
        assert_eq!(decisions.len(), chunk.len());
        let answered = chunk.iter().zip(&decisions);
        wrong.extend(
            answered
                .filter(|(case, decision)| !agrees(decision, &case.expect))
                .map(|(case, _)| *case),
        );
    }
    wrong
}

fn agrees(decision: &proto::Decision, expect: &Expectation) -> bool {
    let Expectation::Decision { allowed, reasons } = expect else {
        return false;
    };
    let given: Vec<_> = decision
        .denials
        .iter()
        .map(|denial| {
            assert!(!denial.remedy.is_empty());
            let reason = denial.reason().as_str_name().trim_start_matches("ELIGIBILITY_REASON_");
            let party = denial.party.split_once('/').map(|(_, id)| id.to_owned());
            (reason.to_owned(), party)
        })
        .collect();
    let expected: Vec<_> = reasons
        .iter()
        .map(|expected| (expected.reason.clone(), expected.party.clone()))
        .collect();
    decision.allowed == *allowed && given == expected
}

fn question(query: &Query) -> Question {
    let (action, sent_by_portal_user) = match query.action {
        Action::StartPortalByStaff | Action::StartStaff => (proto::Action::Start, false),
        Action::StartPortalByPortalUser => (proto::Action::Start, true),
        Action::ReplyPortalByStaff | Action::ReplyStaff => (proto::Action::Reply, false),
        Action::ReplyPortalByPortalUser => (proto::Action::Reply, true),
        other => panic!("{other:?} is no decision"),
    };
    let staff_id = query.staff.clone().unwrap();
    let parties = match query.action {
        Action::StartStaff | Action::ReplyStaff => Parties::Staff(StaffParties {
            sender_id: staff_id,
            recipient_ids: query.recipients.clone(),
            chart_id: query.chart.clone(),
        }),
        _ => Parties::Portal(PortalParties {
            staff_id,
            portal_user_id: query.portal_user.clone().unwrap(),
            chart_id: query.chart.clone().unwrap(),
            sent_by_portal_user,
        }),
    };
    Question {
        action: action.into(),
        parties: Some(parties),
    }
}

/// All pages of a list, as a set of ids.
async fn list(ask: &mut Asking, query: &Query) -> BTreeSet<String> {
    let chart_id = query.chart.clone();
    let list = match query.action {
        Action::ListPortalRecipients => List::PortalUsersForStaff(PortalUsersForStaff {
            staff_id: query.staff.clone().unwrap(),
            chart_id: chart_id.unwrap(),
        }),
        Action::ListStaffRecipientsForPortalUser => List::StaffForPortalUser(StaffForPortalUser {
            portal_user_id: query.portal_user.clone().unwrap(),
            chart_id: chart_id.unwrap(),
        }),
        Action::ListStaffRecipients => List::StaffForStaff(StaffForStaff {
            staff_id: query.staff.clone().unwrap(),
            chart_id,
        }),
        other => panic!("{other:?} is no list"),
    };
    let mut request = ListEligibleRecipientsRequest {
        list: Some(list),
        page_size: 2,
        ..Default::default()
    };
    let mut listed = BTreeSet::new();
    loop {
        let page = ask
            .list_eligible_recipients(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.recipients.len() <= 2);
        for recipient in page.recipients {
            let (_, id) = recipient.person.split_once('/').unwrap();
            assert!(listed.insert(id.to_owned()), "{id} comes twice");
        }
        if page.next_page_token.is_empty() {
            return listed;
        }
        request.page_token = page.next_page_token;
    }
}
