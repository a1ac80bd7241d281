//! `DirectoryChanged`: what a commit changed is told after it, by ids alone.

use carepost_proto::{
    eligibility::v1::{
        Audience, ImportDirectoryRequest, MessagingSettings, PutStaffRequest, Staff, StaffRole,
        UpdateMessagingSettingsRequest, import_directory_request::Record,
    },
    event::v1::DirectoryChanged,
};
use carepost_testkit::{
    DirectoryFile,
    servers::{Parts, Servers},
};

use crate::{
    administration::{administered, brand, on, put_staff, set, set_brand},
    support::{Column, Events, Service, location, on_both, organization},
};

/// The next event, as which records it names.
async fn told(events: &mut Events) -> DirectoryChanged {
    let event = events.next().await;
    assert_eq!(event.organization_id, "org");
    assert!(event.change_time.is_some());
    DirectoryChanged {
        event_id: String::new(),
        organization_id: String::new(),
        change_time: None,
        ..event
    }
}

fn of_location() -> DirectoryChanged {
    DirectoryChanged {
        location_ids: vec!["l1".to_owned()],
        ..DirectoryChanged::default()
    }
}

fn of_organization() -> DirectoryChanged {
    DirectoryChanged {
        organization_changed: true,
        ..DirectoryChanged::default()
    }
}

fn of_staff(id: &str) -> DirectoryChanged {
    DirectoryChanged {
        staff_ids: vec![id.to_owned()],
        ..DirectoryChanged::default()
    }
}

on_both!(records_and_settings_that_changed_are_named);
async fn records_and_settings_that_changed_are_named(column: Column) {
    let service = Service::start(column, "events").await;
    let mut events = service.events();
    let mut feed = administered(&service).await;
    assert_eq!(told(&mut events).await, of_organization());
    assert_eq!(told(&mut events).await, of_location());
    assert_eq!(told(&mut events).await, of_staff("admin"));

    // What changes nothing, or is refused, is not told.
    put_staff(&mut feed, "admin", true, Some(StaffRole::SuperAdmin), 1).await;
    let outdated = PutStaffRequest {
        staff: Some(Staff::default()),
        version: 1,
    };
    feed.put_staff(outdated).await.unwrap_err();
    let mut client = service.administer("org");
    let stale = UpdateMessagingSettingsRequest {
        location_id: None,
        settings: Some(MessagingSettings::default()),
        etag: "stale".to_owned(),
    };
    client.update_messaging_settings(stale).await.unwrap_err();

    let on = Some(on(Audience::CareTeamOnly));
    set(&mut client, Some("l1"), on).await;
    assert_eq!(told(&mut events).await, of_location());
    set(&mut client, Some("l1"), on).await;
    set(&mut client, None, on).await;
    assert_eq!(told(&mut events).await, of_organization());
    set_brand(&mut client, None, Some(brand("Care"))).await;
    assert_eq!(told(&mut events).await, of_organization());
    set_brand(&mut client, Some("l1"), Some(brand("Clinic One"))).await;
    assert_eq!(told(&mut events).await, of_location());
    set_brand(&mut client, Some("l1"), None).await;
    assert_eq!(told(&mut events).await, of_location());
    put_staff(&mut feed, "admin", false, None, 2).await;
    assert_eq!(told(&mut events).await, of_staff("admin"));
}

on_both!(an_import_tells_what_it_wrote_in_few_events);
async fn an_import_tells_what_it_wrote_in_few_events(column: Column) {
    let service = Service::start(column, "import_events").await;
    let mut events = service.events();
    let staff = (0..1_200).map(|number| {
        Record::Staff(Staff {
            id: format!("s{number}"),
            name: "Somebody".to_owned(),
            ..Staff::default()
        })
    });
    let records = [
        Record::Organization(organization("org")),
        Record::Location(location("l1")),
    ];
    let requests = records.into_iter().chain(staff).map(|record| ImportDirectoryRequest {
        version: 0,
        record: Some(record),
    });
    let requests: Vec<_> = requests.collect();
    service.import("org", requests.clone()).await;
    let (mut told, mut of_events) = (0, 0);
    while told < 1_202 {
        let event = events.next().await;
        let named = event.staff_ids.len() + event.location_ids.len() + usize::from(event.organization_changed);
        assert!((1..=1_000).contains(&named));
        told += named;
        of_events += 1;
    }
    assert_eq!(told, 1_202);
    assert!(of_events < 10, "{of_events}");

    // The same again tells nothing: the next event is of what comes after.
    service.import("org", requests).await;
    put_staff(&mut service.feed("org"), "s0", true, None, 1).await;
    assert_eq!(self::told(&mut events).await, of_staff("s0"));
}

on_both!(events_hold_no_names);
async fn events_hold_no_names(column: Column) {
    let service = Service::start(column, "event_names").await;
    let mut events = service.events();
    let file = DirectoryFile::prairie();
    let requests = file.import_requests();
    let mut texts = Vec::new();
    for request in &requests {
        match request.record.as_ref().unwrap() {
            Record::Organization(record) => texts.push(record.name.clone()),
            Record::Location(record) => texts.push(record.name.clone()),
            Record::Staff(record) => texts.extend([record.name.clone(), record.email.clone()]),
            Record::Chart(record) => texts.extend([record.patient_name.clone(), record.url.clone()]),
            Record::PortalUser(record) => texts.extend([record.name.clone(), record.email.clone()]),
            _ => {}
        }
    }
    texts.retain(|text| !text.is_empty());
    service.import(file.organization_id(), requests).await;
    let (mut people, mut bytes) = (0, Vec::new());
    while people == 0 {
        let (received, event) = events.next_raw().await;
        people += event.portal_user_ids.len();
        bytes.extend(received.body);
    }
    let told = String::from_utf8_lossy(&bytes);
    assert!(texts.len() > 100 && told.contains(file.organization_id()));
    assert!(texts.iter().all(|text| !told.contains(text.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_down_changes_are_acknowledged_and_told_later() {
    let servers = Servers::private_parts("elig-broker", Parts::RabbitMq).await;
    let service = Service::start_with_broker(&servers, "broker_outage").await;
    let mut events = service.events();
    let mut feed = administered(&service).await;
    for expected in [of_organization(), of_location(), of_staff("admin")] {
        assert_eq!(told(&mut events).await, expected);
    }
    servers.stop_rabbitmq().await;
    put_staff(&mut feed, "nurse", true, None, 1).await;
    set(&mut service.administer("org"), None, Some(on(Audience::CareTeamOnly))).await;
    assert!(service.is_ready().await);
    servers.start_rabbitmq().await;
    assert_eq!(told(&mut events).await, of_staff("nurse"));
    assert_eq!(told(&mut events).await, of_organization());
}
