//! The names in conversations are copies that follow the directory (D2).

use std::time::{Duration, Instant};

use carepost_broker::{
    dead_letters::DeadLetters,
    event::{Event, EventKind},
    publisher::Publisher,
    trace::TraceHeaders,
};
use carepost_identity::OrganizationId;
use carepost_proto::event::v1::DirectoryChanged;
use carepost_runtime::{Clock, Ids};

use carepost_proto::messaging::v1::{ListConversationsRequest, StartConversationRequest};
use carepost_testkit::{Servers, TcpProxy};
use sea_orm::{ConnectionTrait, Statement};
use url::Url;

use crate::support::{
    CLERK, Column, DOCTOR, GUARDIAN, NURSE, ORGANIZATION, Plan, Says, Service, on_both, portal_start, read_up_to,
    reply_to,
};

const PATIENCE: Duration = Duration::from_secs(30);

/// An event about the nurse, the guardian and a chart.
fn everybody() -> DirectoryChanged {
    DirectoryChanged {
        organization_id: ORGANIZATION.to_owned(),
        staff_ids: vec!["nurse".to_owned(), "stranger".to_owned()],
        portal_user_ids: vec!["guardian".to_owned()],
        chart_ids: vec!["chart-1".to_owned(), "chart-9".to_owned()],
        ..DirectoryChanged::default()
    }
}

async fn publish(service: &Service, payload: &DirectoryChanged) {
    let now = Clock::system().now();
    let organization = OrganizationId::parse(ORGANIZATION).unwrap();
    let event = Event::directory_changed(Ids.next(now), organization, payload, TraceHeaders::default(), now);
    publish_event(service, event).await;
}

async fn publish_event(service: &Service, event: Event) {
    let publisher = Publisher::new(service.broker.clone());
    publisher.publish(&[event]).await.pop().unwrap().unwrap();
    publisher.close().await;
}

async fn until(mut condition: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition().await {
        assert!(Instant::now() < end, "it does not come true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// The names that a person sees: of everybody by id, and of the patient.
async fn names(service: &Service, person: &str, id: &str) -> (Vec<String>, String) {
    let conversation = service.open(person, id).await;
    let parties = conversation.participants.into_iter().map(|party| party.display_name);
    (
        parties.collect(),
        conversation.regarding.unwrap_or_default().patient_name,
    )
}

on_both!(d2_a_new_name_is_shown_everywhere_and_changes_every_mailbox_once);
async fn d2_a_new_name_is_shown_everywhere_and_changes_every_mailbox_once(column: Column) {
    let service = Service::start(column, "names").await;
    let portal = service.start_portal().await.conversation_id;
    let staff = service.start_staff().await.conversation_id;
    let mut before = Vec::new();
    for person in [NURSE, GUARDIAN, DOCTOR, CLERK] {
        before.push(service.mailbox(person).await);
    }
    service.eligibility.calls(NURSE, "Nurse Newname");
    service.eligibility.calls("chart-1", "Patient Newname");
    publish(&service, &everybody()).await;
    let renamed = (
        vec!["Name of portal/guardian".to_owned(), "Nurse Newname".to_owned()],
        "Patient Newname".to_owned(),
    );
    until(async || names(&service, GUARDIAN, &portal).await == renamed).await;
    until(async || names(&service, DOCTOR, &staff).await.0[2] == "Nurse Newname").await;
    // The nurse is in both conversations, everybody else in one; nobody has more to read.
    for (place, (person, changes)) in [(NURSE, 2), (GUARDIAN, 1), (DOCTOR, 1), (CLERK, 1)]
        .into_iter()
        .enumerate()
    {
        let after = service.mailbox(person).await;
        assert_eq!(after.revision, before[place].revision + changes, "{person}");
        assert_eq!(after.unread_count, before[place].unread_count);
    }

    // Again, late: it is looked at, and nothing is written.
    let asked = service.eligibility.asked_names().len();
    publish(&service, &everybody()).await;
    until(async || service.eligibility.asked_names().len() > asked).await;
    let last = DirectoryChanged {
        staff_ids: vec!["clerk".to_owned()],
        ..everybody()
    };
    service.eligibility.calls(CLERK, "Clerk Newname");
    publish(&service, &last).await;
    until(async || names(&service, DOCTOR, &staff).await.0[0] == "Clerk Newname").await;
    assert_eq!(service.mailbox(GUARDIAN).await.revision, before[1].revision + 1);
}

on_both!(only_who_is_in_conversations_of_the_organization_is_asked_for);
async fn only_who_is_in_conversations_of_the_organization_is_asked_for(column: Column) {
    let service = Service::start(column, "known").await;
    service.start_portal().await;
    let elsewhere = DirectoryChanged {
        organization_id: "prairie".to_owned(),
        ..everybody()
    };
    publish(&service, &elsewhere).await;
    let of_strangers = DirectoryChanged {
        staff_ids: vec!["stranger".to_owned()],
        portal_user_ids: Vec::new(),
        chart_ids: vec!["chart-9".to_owned()],
        location_ids: vec!["l".to_owned()],
        organization_changed: true,
        ..everybody()
    };
    publish(&service, &of_strangers).await;
    publish(&service, &everybody()).await;
    until(async || !service.eligibility.asked_names().is_empty()).await;
    let asked = service.eligibility.asked_names().swap_remove(0);
    assert_eq!(asked.persons, [GUARDIAN, NURSE]);
    assert_eq!(asked.chart_ids, ["chart-1"]);
}

on_both!(who_wrote_an_older_name_looks_again);
async fn who_wrote_an_older_name_looks_again(column: Column) {
    let service = Service::start(column, "older").await;
    let id = service.start_portal().await.conversation_id;
    // The name changed a second time after the first answer was read, and another replica has handled that event already.
    service.eligibility.still_calls(NURSE, "Nurse Between");
    service.eligibility.calls(NURSE, "Nurse Newest");
    publish(&service, &everybody()).await;
    until(async || names(&service, GUARDIAN, &id).await.0[1] == "Nurse Newest").await;
}

on_both!(a_copy_that_no_event_reached_is_mended_once_it_is_read);
async fn a_copy_that_no_event_reached_is_mended_once_it_is_read(column: Column) {
    let service = Service::start(column, "unheard").await;
    let portal = service.start_portal().await.conversation_id;
    let staff = service.start_staff().await.conversation_id;
    service.eligibility.tells_names_in_batches();
    service.eligibility.calls(NURSE, "Nurse Newname");
    service.eligibility.calls("chart-1", "Patient Newname");
    let renamed = (
        vec!["Name of portal/guardian".to_owned(), "Nurse Newname".to_owned()],
        "Patient Newname".to_owned(),
    );
    until(async || names(&service, GUARDIAN, &portal).await == renamed).await;
    // In all conversations, not only in the one that was read.
    until(async || names(&service, DOCTOR, &staff).await.0[2] == "Nurse Newname").await;
}

on_both!(an_outage_of_eligibility_loses_no_event);
async fn an_outage_of_eligibility_loses_no_event(column: Column) {
    let service = Service::start(column, "names-outage").await;
    let id = service.start_portal().await.conversation_id;
    service.eligibility.calls(GUARDIAN, "Guardian Newname");
    service.eligibility.says(Says::Nothing);
    publish(&service, &everybody()).await;
    // More than one try of the peer's own.
    until(async || service.eligibility.asked_names().len() > 6).await;
    assert_eq!(names(&service, NURSE, &id).await.0[0], "Name of portal/guardian");
    service.eligibility.says(Says::Yes);
    until(async || names(&service, NURSE, &id).await.0[0] == "Guardian Newname").await;
    let dead = DeadLetters::new(service.broker.clone()).list(0, 10).await.unwrap();
    assert!(dead.letters.is_empty(), "{:?}", dead.letters.len());
}

on_both!(an_event_that_makes_no_sense_becomes_a_dead_letter);
async fn an_event_that_makes_no_sense_becomes_a_dead_letter(column: Column) {
    let service = Service::start(column, "malformed").await;
    let id = service.start_portal().await.conversation_id;
    let now = Clock::system().now();
    let event = Event {
        id: Ids.next(now),
        organization: OrganizationId::parse(ORGANIZATION).unwrap(),
        kind: EventKind::DirectoryChanged,
        payload: b"\xff\xff Jane Doe".to_vec(),
        trace: TraceHeaders::default(),
        occurred_at: now,
    };
    publish_event(&service, event).await;
    service.eligibility.calls(NURSE, "Nurse Newname");
    publish(&service, &everybody()).await;
    until(async || names(&service, GUARDIAN, &id).await.0[1] == "Nurse Newname").await;
    let dead = DeadLetters::new(service.broker.clone());
    until(async || dead.list(0, 10).await.unwrap().letters.len() == 1).await;
    let letter = dead.list(0, 10).await.unwrap().letters.swap_remove(0);
    assert_eq!(
        letter.reason.as_deref(),
        Some("the payload is no carepost.event.v1.DirectoryChanged")
    );
}

on_both!(names_change_while_everybody_writes_and_reads);
async fn names_change_while_everybody_writes_and_reads(column: Column) {
    const TURNS: i64 = 15;
    let service = Service::start(column, "busy").await;
    let id = service.start_staff().await.conversation_id;
    let writing = async |person: &'static str| {
        for turn in 1..=TURNS {
            service.of(person).reply(reply_to(&id)).await.unwrap();
            service.of(person).mark_read(read_up_to(&id, turn)).await.unwrap();
        }
    };
    let renaming = async {
        for turn in 1..=TURNS {
            for person in [NURSE, DOCTOR, CLERK] {
                service.eligibility.calls(person, &format!("{person} the {turn}th"));
            }
            let all = DirectoryChanged {
                staff_ids: ["nurse", "doctor", "clerk"].map(str::to_owned).into(),
                ..everybody()
            };
            publish(&service, &all).await;
        }
    };
    futures::join!(writing(NURSE), writing(DOCTOR), writing(CLERK), renaming);
    let newest: Vec<_> = [CLERK, DOCTOR, NURSE]
        .map(|person| format!("{person} the {TURNS}th"))
        .into();
    until(async || names(&service, NURSE, &id).await.0 == newest).await;
    // One message to start with and three people's replies: of all after the last one that they read, two thirds are of others.
    for person in [NURSE, DOCTOR, CLERK] {
        let conversation = service.open(person, &id).await;
        assert_eq!(conversation.last_sequence, 1 + 3 * TURNS);
        assert_eq!(service.badge(person).await, conversation.unread_count);
    }
}

/// A portal conversation about the same chart with somebody else.
async fn start_with(service: &Service, person: &str) -> String {
    let request = StartConversationRequest {
        recipients: vec![person.to_owned()],
        ..portal_start()
    };
    let started = service.of(NURSE).start_conversation(request).await;
    started.unwrap().into_inner().conversation_id
}

on_both!(who_is_no_longer_connected_to_a_chart_gets_no_new_name_of_its_patient);
async fn who_is_no_longer_connected_to_a_chart_gets_no_new_name_of_its_patient(column: Column) {
    let service = Service::start(column, "unconnected").await;
    let former = service.start_portal().await.conversation_id;
    let patients = start_with(&service, "portal/patient").await;
    service.eligibility.disconnects("guardian");
    service.eligibility.calls("chart-1", "Patient Newname");
    service.eligibility.calls(NURSE, "Nurse Newname");
    publish(&service, &everybody()).await;
    // The name of the nurse is no secret of the patient's.
    until(async || names(&service, GUARDIAN, &former).await.0[1] == "Nurse Newname").await;
    until(async || names(&service, "portal/patient", &patients).await.1 == "Patient Newname").await;
    for person in [GUARDIAN, NURSE] {
        assert_eq!(names(&service, person, &former).await.1, "Patient of chart-1");
    }
    // It changes nothing, however often it is looked at.
    let revision = service.mailbox(GUARDIAN).await.revision;
    publish(&service, &everybody()).await;
    service.eligibility.calls(NURSE, "Nurse Newest");
    publish(&service, &everybody()).await;
    until(async || names(&service, GUARDIAN, &former).await.0[1] == "Nurse Newest").await;
    assert_eq!(service.mailbox(GUARDIAN).await.revision, revision + 1);
    assert_eq!(names(&service, GUARDIAN, &former).await.1, "Patient of chart-1");

    service.eligibility.reconnects("guardian");
    publish(&service, &everybody()).await;
    until(async || names(&service, GUARDIAN, &former).await.1 == "Patient Newname").await;
}

on_both!(who_reads_without_a_connection_mends_no_name_of_the_patient);
async fn who_reads_without_a_connection_mends_no_name_of_the_patient(column: Column) {
    let service = Service::start(column, "unconnected_reads").await;
    let former = service.start_portal().await.conversation_id;
    service.eligibility.tells_names_in_batches();
    service.eligibility.disconnects("guardian");
    service.eligibility.calls("chart-1", "Patient Newname");
    service.eligibility.calls(NURSE, "Nurse Newname");
    until(async || names(&service, GUARDIAN, &former).await.0[1] == "Nurse Newname").await;
    assert_eq!(names(&service, NURSE, &former).await.1, "Patient of chart-1");
    let asked = service.eligibility.asked_names();
    assert!(asked.iter().all(|names| names.chart_ids.is_empty()), "{asked:?}");
    // Somebody who may know the name mends it for all who may.
    let patients = start_with(&service, "portal/patient").await;
    service.eligibility.calls("chart-1", "Patient Newest");
    until(async || names(&service, "portal/patient", &patients).await.1 == "Patient Newest").await;
    assert_eq!(names(&service, GUARDIAN, &former).await.1, "Patient of chart-1");
}

on_both!(what_can_never_be_refreshed_holds_nobody_else_up);
async fn what_can_never_be_refreshed_holds_nobody_else_up(column: Column) {
    let plan = Plan {
        settings: "[inbox]\nprefetch = 1\nconcurrency = 1\n".to_owned(),
        ..Plan::default()
    };
    let service = Service::start_as(column, "permanent", plan).await;
    service.start_portal().await;
    let staff = service.start_staff().await.conversation_id;
    let of = |id: &str| DirectoryChanged {
        organization_id: ORGANIZATION.to_owned(),
        staff_ids: vec![id.to_owned()],
        ..DirectoryChanged::default()
    };
    // A request that is refused, an answer that cannot be read, a row that cannot be read.
    service.eligibility.refuses_name_of(NURSE);
    publish(&service, &of("nurse")).await;
    service.eligibility.garbles_name_of(DOCTOR);
    publish(&service, &of("doctor")).await;
    let corrupt = "INSERT INTO participant (organization, conversation_id, person, display_name, unread, last_message_at, revision)
        SELECT organization, conversation_id, 'nobody at all', 'Nobody', 0, last_message_at, 1 FROM participant
        WHERE person = 'portal/guardian'";
    service.database().await.execute_unprepared(corrupt).await.unwrap();
    service.eligibility.calls(GUARDIAN, "Guardian Newname");
    let guardian = DirectoryChanged {
        staff_ids: Vec::new(),
        portal_user_ids: vec!["guardian".to_owned()],
        ..of("")
    };
    publish(&service, &guardian).await;
    service.eligibility.calls(CLERK, "Clerk Newname");
    publish(&service, &of("clerk")).await;
    until(async || names(&service, NURSE, &staff).await.0[0] == "Clerk Newname").await;
    let dead = DeadLetters::new(service.broker.clone()).list(0, 10).await.unwrap();
    assert!(dead.letters.is_empty(), "{:?}", dead.letters.len());
}

on_both!(more_old_names_than_one_question_takes_are_mended);
async fn more_old_names_than_one_question_takes_are_mended(column: Column) {
    let service = Service::start(column, "many_names").await;
    for group in 0..21 {
        let recipients: Vec<_> = (0..50).map(|number| format!("staff/{group}-{number}")).collect();
        for person in &recipients {
            service.eligibility.still_calls(person, "Old Name");
        }
        let request = StartConversationRequest {
            recipients,
            chart_id: None,
            ..portal_start()
        };
        service.of(NURSE).start_conversation(request).await.unwrap();
    }
    service.eligibility.tells_names_in_batches();
    let mut nurse = service.of(NURSE);
    until(async || {
        let listed = nurse.list_conversations(request_all()).await.unwrap().into_inner();
        let mut parties = listed.conversations.iter().flat_map(|one| &one.participants);
        parties.all(|party| party.display_name != "Old Name")
    })
    .await;
}

fn request_all() -> ListConversationsRequest {
    ListConversationsRequest {
        page_size: 100,
        ..Default::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn d2_new_names_come_though_the_database_fell_silent() {
    let servers = Servers::ensure().await;
    let url: Url = servers.postgres_url("postgres").parse().unwrap();
    let way = TcpProxy::start(([127, 0, 0, 1], url.port().unwrap()).into()).await;
    let plan = Plan {
        database: Some(way.address()),
        ..Plan::default()
    };
    let service = Service::start_as(Column::Real, "silent", plan).await;
    service.start_portal().await;
    let looking = service.database().await;
    let renamed = async || {
        let sql =
            "SELECT display_name FROM participant WHERE person = 'staff/nurse' AND display_name = 'Nurse Newname'";
        let statement = Statement::from_string(looking.get_database_backend(), sql);
        looking.query_one_raw(statement).await.is_ok_and(|row| row.is_some())
    };
    assert!(!renamed().await);
    way.silence();
    service.eligibility.calls(NURSE, "Nurse Newname");
    publish(&service, &everybody()).await;
    let end = Instant::now() + 4 * PATIENCE;
    while !tokio::time::timeout(Duration::from_secs(1), renamed())
        .await
        .is_ok_and(|renamed| renamed)
    {
        assert!(Instant::now() < end, "it does not come true");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    service.stop().await.unwrap();
}
