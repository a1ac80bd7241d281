//! GetComposeOptions agrees with the decision on a start and with the lists of recipients, in whole directories.

use std::collections::BTreeSet;

use carepost_proto::eligibility::v1::{
    Chart, Decision, ListEligibleRecipientsRequest, PortalParties, StaffForPortalUser, StaffParties,
    import_directory_request::Record, list_eligible_recipients_request::List, question::Parties,
};
use carepost_testkit::{DirectoryFile, vectors};

use crate::{
    compose::{decisions, of_staff, of_user},
    support::{Asking, Column, Service, on_both},
};

/// Whether a portal user has anybody to write to regarding a chart.
async fn has_recipients(ask: &mut Asking, user: &str, chart: &str) -> bool {
    let list = StaffForPortalUser {
        portal_user_id: user.to_owned(),
        chart_id: chart.to_owned(),
    };
    let mut request = ListEligibleRecipientsRequest {
        list: Some(List::StaffForPortalUser(list)),
        page_size: 1,
        ..Default::default()
    };
    loop {
        let page = ask
            .list_eligible_recipients(request.clone())
            .await
            .unwrap()
            .into_inner();
        if !page.recipients.is_empty() || page.next_page_token.is_empty() {
            return !page.recipients.is_empty();
        }
        request.page_token = page.next_page_token;
    }
}

/// The people and charts of an import.
#[derive(Default)]
struct Everybody {
    staff: Vec<String>,
    users: Vec<String>,
    charts: Vec<Chart>,
}

async fn import(service: &Service, file: &DirectoryFile) -> Everybody {
    let requests = file.import_requests();
    let answer = service.import(file.organization_id(), requests.clone()).await;
    assert_eq!(answer.refused, 0, "{:?}", answer.refusals);
    let mut everybody = Everybody::default();
    for record in requests.into_iter().filter_map(|request| request.record) {
        match record {
            Record::Staff(record) => everybody.staff.push(record.id),
            Record::PortalUser(record) => everybody.users.push(record.id),
            Record::Chart(record) => everybody.charts.push(record),
            _ => {}
        }
    }
    everybody
}

/// Compares the charts of every portal user with their lists; gives how many there were, and how many pairs were none.
async fn compare(ask: &mut Asking, everybody: &Everybody, step: usize) -> (usize, usize) {
    let (mut regardable, mut others) = (0, 0);
    for user in &everybody.users {
        let all = of_user(ask, user, None).await;
        let told: BTreeSet<_> = all
            .charts
            .iter()
            .map(|chart| chart.chart.as_ref().unwrap().chart_id.clone())
            .collect();
        assert_eq!((told.len(), all.portal), (all.charts.len(), !told.is_empty()));
        for (number, chart) in everybody.charts.iter().enumerate() {
            // A chart that is told is always looked at, of the others some.
            let is_told = told.contains(&chart.id);
            if !is_told && number % step != 0 {
                continue;
            }
            assert_eq!(
                has_recipients(ask, user, &chart.id).await,
                is_told,
                "{user} {}",
                chart.id
            );
            if is_told {
                assert!(of_user(ask, user, Some(&chart.id)).await.portal);
                regardable += 1;
            } else {
                others += 1;
            }
        }
    }
    (regardable, others)
}

on_both!(a_portal_user_can_regard_exactly_the_charts_with_a_recipient);
async fn a_portal_user_can_regard_exactly_the_charts_with_a_recipient(column: Column) {
    let service = Service::start(column, "regardable").await;
    for file in [DirectoryFile::prairie(), DirectoryFile::southern()] {
        let everybody = import(&service, &file).await;
        let (regardable, others) = compare(&mut service.ask(file.organization_id()), &everybody, 20).await;
        assert!(regardable > 10 && others > 10, "{regardable} {others}");
    }
}

on_both!(the_same_in_the_directories_of_the_vectors);
async fn the_same_in_the_directories_of_the_vectors(column: Column) {
    let service = Service::start(column, "regardable_vectors").await;
    let (mut regardable, mut others) = (0, 0);
    for (number, set) in vectors::eligibility().iter().enumerate() {
        let organization = format!("set-{number}");
        let everybody = import(&service, &set.directory.clone().with_organization_id(&organization)).await;
        let compared = compare(&mut service.ask(&organization), &everybody, 1).await;
        (regardable, others) = (regardable + compared.0, others + compared.1);
    }
    assert!(regardable > 10 && others > 10, "{regardable} {others}");
}

on_both!(what_staff_may_start_is_what_the_decision_says_of_them_and_the_chart);
async fn what_staff_may_start_is_what_the_decision_says_of_them_and_the_chart(column: Column) {
    let service = Service::start(column, "staff_options").await;
    let mut seen = BTreeSet::new();
    for (number, set) in vectors::eligibility().iter().enumerate() {
        let organization = format!("set-{number}");
        let everybody = import(&service, &set.directory.clone().with_organization_id(&organization)).await;
        let mut ask = service.ask(&organization);
        for (place, staff) in everybody.staff.iter().enumerate() {
            let colleague = &everybody.staff[(place + 1) % everybody.staff.len()];
            for chart in everybody.charts.iter().map(|chart| chart.id.clone()) {
                let portal = Parties::Portal(PortalParties {
                    staff_id: staff.clone(),
                    portal_user_id: everybody.users[0].clone(),
                    chart_id: chart.clone(),
                    sent_by_portal_user: false,
                });
                let among_staff = Parties::Staff(StaffParties {
                    sender_id: staff.clone(),
                    recipient_ids: vec![colleague.clone()],
                    chart_id: Some(chart.clone()),
                });
                let decisions = decisions(&mut ask, [portal, among_staff]).await;
                let about_others = |decision: &Decision| {
                    let mine = |party: &str| party.is_empty() || party == format!("staff/{staff}");
                    !decision.denials.iter().any(|denial| mine(&denial.party))
                };
                let expected = (about_others(&decisions[0]), about_others(&decisions[1]));
                assert_eq!(
                    of_staff(&mut ask, staff, Some(&chart)).await,
                    expected,
                    "{staff} {chart}"
                );
                seen.insert(expected);
            }
        }
    }
    assert_eq!(
        seen.len(),
        3,
        "a portal conversation needs more than one of staff: {seen:?}"
    );
}
