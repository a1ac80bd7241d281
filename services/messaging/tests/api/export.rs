//! What the law demands to be handed out is everything, as of one moment, and of nobody else (C5).

use carepost_identity::{ChartId, OrganizationId, PersonId, PortalUserId};
use carepost_messaging::store::export::{ExportedConversation, ExportedMessage, Selection, Snapshot};
use carepost_proto::messaging::v1::StartConversationRequest;
use sea_orm::DatabaseConnection;

use crate::support::{
    CLERK, Column, DOCTOR, GUARDIAN, NURSE, ORGANIZATION, Service, on_both, portal_start, read_up_to, reply_to,
};

fn chart(id: &str) -> ChartId {
    ChartId::parse(id).unwrap()
}

fn person(id: &str) -> PersonId {
    PersonId::parse(id).unwrap()
}

async fn snapshot(database: &DatabaseConnection, organization: &str) -> Snapshot {
    Snapshot::take(database, OrganizationId::parse(organization).unwrap())
        .await
        .unwrap()
}

/// Everything that is selected, taken in pages.
async fn all(of: &Snapshot, selection: &Selection, page: u64) -> Vec<(ExportedConversation, Vec<ExportedMessage>)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let conversations = of.conversations(selection, after, page).await.unwrap();
        let Some(last) = conversations.last() else {
            return found;
        };
        assert!(conversations.len() as u64 <= page);
        after = Some(last.place());
        for conversation in conversations {
            let mut messages: Vec<ExportedMessage> = Vec::new();
            loop {
                let last = messages.last().map_or(0, |message| message.number);
                let more = of.messages(conversation.id, last, page).await.unwrap();
                if more.is_empty() {
                    break;
                }
                messages.extend(more);
            }
            found.push((conversation, messages));
        }
    }
}

fn ids(found: &[(ExportedConversation, Vec<ExportedMessage>)]) -> Vec<String> {
    found
        .iter()
        .map(|(conversation, _)| conversation.id.to_string())
        .collect()
}

async fn start(service: &Service, recipients: &[&str], chart: Option<&str>) -> String {
    let request = StartConversationRequest {
        recipients: recipients.iter().map(ToString::to_string).collect(),
        chart_id: chart.map(str::to_owned),
        ..portal_start()
    };
    let started = service.of(NURSE).start_conversation(request).await.unwrap();
    started.into_inner().conversation_id
}

on_both!(c5_an_export_has_all_of_what_it_is_about_and_nothing_else);
async fn c5_an_export_has_all_of_what_it_is_about_and_nothing_else(column: Column) {
    let service = Service::start(column, "export").await;
    let portal = start(&service, &[GUARDIAN], Some("chart-1")).await;
    let other_chart = start(&service, &[GUARDIAN], Some("chart-2")).await;
    let other_guardian = start(&service, &["portal/other"], Some("chart-1")).await;
    let staff = start(&service, &[DOCTOR, CLERK], Some("chart-1")).await;
    let unrelated = start(&service, &[DOCTOR], None).await;
    for _ in 0..4 {
        service.of(GUARDIAN).reply(reply_to(&portal)).await.unwrap();
    }
    service.of(NURSE).mark_read(read_up_to(&portal, 3)).await.unwrap();

    let database = service.database().await;
    let snapshot = snapshot(&database, ORGANIZATION).await;
    let user = Selection::PortalUser(PortalUserId::parse("guardian").unwrap());
    let of_chart = all(&snapshot, &Selection::Chart(chart("chart-1")), 2).await;
    assert_eq!(ids(&of_chart), [&portal, &other_guardian, &staff].map(Clone::clone));
    assert_eq!(
        ids(&all(&snapshot, &user, 1).await),
        [&portal, &other_chart].map(Clone::clone)
    );
    for (with, expected) in [
        (GUARDIAN, vec![&portal]),
        (DOCTOR, vec![&staff]),
        ("staff/nobody", vec![]),
    ] {
        let found = all(&snapshot, &Selection::ChartWith(chart("chart-1"), person(with)), 2).await;
        assert_eq!(ids(&found).iter().collect::<Vec<_>>(), expected, "{with}");
    }
    assert!(!ids(&of_chart).contains(&unrelated));

    let (conversation, messages) = &of_chart[0];
    assert_eq!(
        (conversation.subject.as_str(), conversation.last_number),
        ("Wound check", 5)
    );
    let regarding = conversation.regarding.as_ref().unwrap();
    assert_eq!(regarding.chart, chart("chart-1"));
    let parties = conversation.parties.iter();
    let parties: Vec<_> = parties
        .map(|party| (party.person.to_string(), party.read_up_to))
        .collect();
    assert_eq!(parties, [(GUARDIAN.to_owned(), 0), (NURSE.to_owned(), 3)]);
    let numbers: Vec<_> = messages.iter().map(|message| message.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    let (first, second) = (&messages[0], &messages[1]);
    assert_eq!(
        (first.sender.clone(), first.body.as_str()),
        (person(NURSE), "Please come on Monday.")
    );
    assert_eq!(
        (second.sender.clone(), second.body.as_str()),
        (person(GUARDIAN), "I will be there.")
    );
}

on_both!(an_export_is_of_one_moment);
async fn an_export_is_of_one_moment(column: Column) {
    let service = Service::start(column, "moment").await;
    let portal = start(&service, &[GUARDIAN], Some("chart-1")).await;
    let database = service.database().await;
    let selection = Selection::Chart(chart("chart-1"));
    let before = snapshot(&database, ORGANIZATION).await;
    let known = before.conversations(&selection, None, 10).await.unwrap();
    service.of(GUARDIAN).reply(reply_to(&portal)).await.unwrap();
    start(&service, &[DOCTOR], Some("chart-1")).await;

    let found = all(&before, &selection, 10).await;
    assert!(found.len() == 1 && found[0].0 == known[0] && found[0].1.len() == 1);
    drop(before);
    let found = all(&snapshot(&database, ORGANIZATION).await, &selection, 10).await;
    assert!(found.len() == 2 && found[0].1.len() == 2);
}

on_both!(an_export_of_another_organization_has_nothing);
async fn an_export_of_another_organization_has_nothing(column: Column) {
    let service = Service::start(column, "foreign").await;
    start(&service, &[GUARDIAN], Some("chart-1")).await;
    let database = service.database().await;
    let snapshot = snapshot(&database, "prairie").await;
    assert!(all(&snapshot, &Selection::Chart(chart("chart-1")), 10).await.is_empty());
    let user = Selection::PortalUser(PortalUserId::parse("guardian").unwrap());
    assert!(all(&snapshot, &user, 10).await.is_empty());
}
