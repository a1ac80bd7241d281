//! Nothing that somebody wrote or searched for, and nobody's name or address, is in logs, traces, metrics, events, errors or
//! the ledger of emails, nor in an email other than as its recipient.

use carepost_proto::{
    eligibility::v1::{
        Chart, GetChartRequest, GetPortalUserRequest, GetStaffRequest, PortalUser, PutChartRequest,
        PutPortalUserRequest, PutStaffRequest, Staff,
    },
    messaging::v1::{
        GetConversationRequest, ListMessagesRequest, SearchConversationsRequest, StartConversationRequest,
    },
    notification::v1::{UpdatePreferencesRequest, notification_service_client::NotificationServiceClient},
};
use carepost_suite::{
    Plan, Suite,
    broker::Tap,
    clients::{Metadata, channel},
    otlp::Receiver,
    process::Service,
    scrape,
    wait::{LONG, until},
};
use carepost_testkit::{DirectoryFile, Servers, smtp::Behaviour};
use sea_orm::{ConnectionTrait, Database, Statement};
use tonic::{Status, service::interceptor::InterceptedService};

use crate::traffic::{PRAIRIE, reply, request_id};

/// Each of these is put where health data or an identity goes, and must be found nowhere else.
const MARKS: [&str; 8] = [
    "Xsubjectx",
    "Xbodyx",
    "Xsearchx",
    "Xpatientx",
    "Xguardianx",
    "Xdoctorx",
    GUARDIANS,
    DOCTORS,
];
/// The first parts of the addresses.
const GUARDIANS: &str = "xaddressx";
const DOCTORS: &str = "xofficex";

#[tokio::test(flavor = "multi_thread")]
async fn marked_text_names_and_addresses_are_only_where_the_rules_put_them() {
    let (traces, otlp) = Receiver::start().await;
    let plan = Plan {
        otlp: Some(otlp),
        ..Plan::default()
    };
    let suite = Suite::start_on(Servers::private("privacy").await, "privacy", plan).await;
    suite.import(&DirectoryFile::prairie()).await;
    // Everything that goes over the broker from here on goes into this queue as well.
    let tap = Tap::new(suite.servers.amqp_url(), &suite.prefix).await;
    the_staff_member_wants_email(&suite).await;
    // The mail server refuses once with the address in its words.
    suite.smtp.script(|recipient, attempt| match attempt {
        1 => Behaviour::RefuseRecipient(450, format!("4.2.0 <{recipient}> is busy")),
        2 => Behaviour::DropAfterData,
        _ => Behaviour::Accept,
    });
    // While the broker is away, events stay where they can be looked at.
    suite.servers.stop_rabbitmq().await;
    mark_the_directory(&suite).await;
    let conversation = talk(&suite).await;
    for (status, place) in refusals(&suite).await {
        let told = format!("{status:?} {}", String::from_utf8_lossy(status.details()));
        assert_unmarked(&told, place);
    }
    for service in [Service::Messaging, Service::Eligibility] {
        let events = whole_table(&suite, service, "outbox", "t::text || encode(t.payload, 'escape')").await;
        assert!(!events.is_empty(), "the events are there");
        assert_unmarked(&events, "an event");
    }
    suite.servers.start_rabbitmq().await;
    both_are_told(&suite).await;
    let gone = until(LONG, async || {
        let left = whole_table(&suite, Service::Messaging, "outbox", "t::text").await;
        left.is_empty()
            && whole_table(&suite, Service::Eligibility, "outbox", "t::text")
                .await
                .is_empty()
    });
    assert!(gone.await, "events are left in an outbox");
    let events = tap.take().await;
    assert!(events.contains(&conversation), "the events can be read");
    assert_unmarked(&events, "an event on the broker");
    // They are served as long as the services are.
    let metrics = scrape::metrics(&suite).await;
    for service in Service::ALL {
        suite.stop(service).await;
    }
    what_was_told_is_unmarked(&suite, &traces, &metrics).await;
}

/// Logs, traces, the ledger, the emails: all that there is to look at in the end.
async fn what_was_told_is_unmarked(suite: &Suite, traces: &Receiver, metrics: &str) {
    let logs = suite.logs();
    assert!(logs.contains("answered"), "the services log what they do");
    assert_unmarked(&logs, "a log");
    for rpc in [
        "StartConversation",
        "SearchConversations",
        "PutStaff",
        "GetEmailRecipient",
    ] {
        let traced = until(LONG, async || traces.text().contains(rpc));
        assert!(traced.await, "{rpc} is not in a trace");
    }
    assert_unmarked(&traces.text(), "a trace");
    assert!(metrics.contains("carepost_rpc_served_seconds_count"), "{metrics}");
    assert_unmarked(metrics, "a metric");
    for (table, answer) in [("delivery", "taken"), ("attempt", "is busy")] {
        let ledger = whole_table(suite, Service::Notification, table, "t::text").await;
        assert!(ledger.contains(answer), "the server's answers are there");
        assert_unmarked(&ledger, "the ledger");
    }
    for service in Service::ALL {
        for table in ["audit_record", "audit_seal"] {
            let trail = whole_table(suite, service, table, "t::text").await;
            assert!(!trail.is_empty(), "{service:?} has a trail");
            assert_unmarked(&trail, "the audit trail");
        }
    }
    let mails = suite.smtp.mails().into_iter();
    let mails: Vec<_> = mails.map(|mail| super::story::decoded(&mail.data)).collect();
    let mails = mails.join("\n");
    let mut without_recipients = mails.clone();
    for name in [GUARDIANS, DOCTORS] {
        let header = format!("To: {name}@example.org\r\n");
        assert!(mails.contains(&header), "the emails say to whom they go");
        without_recipients = without_recipients.replace(&header, "");
    }
    assert_unmarked(&without_recipients, "an email");
}

async fn the_staff_member_wants_email(suite: &Suite) {
    let metadata = Metadata {
        token: Some(suite.people.person(PRAIRIE.organization, PRAIRIE.staff)),
        ..Metadata::default()
    };
    let channel = channel(suite.address(Service::Notification));
    let mut preferences = NotificationServiceClient::new(InterceptedService::new(channel, metadata));
    let wanted = UpdatePreferencesRequest {
        email_on_message: Some(true),
    };
    preferences.update_preferences(wanted).await.unwrap();
}

/// A message, a reply, and a search that finds them. Gives the conversation.
async fn talk(suite: &Suite) -> String {
    let mut staff = suite.person(PRAIRIE.organization, PRAIRIE.staff);
    let started = staff.start_conversation(message()).await.unwrap().into_inner();
    reply(
        suite,
        PRAIRIE,
        &started.conversation_id,
        PRAIRIE.portal_user,
        "Xbodyx, Xsearchx",
    )
    .await;
    let query = SearchConversationsRequest {
        query: "Xsearchx".to_owned(),
        ..SearchConversationsRequest::default()
    };
    let found = staff.search_conversations(query).await.unwrap().into_inner();
    assert_eq!(found.results.len(), 1);
    started.conversation_id
}

fn message() -> StartConversationRequest {
    StartConversationRequest {
        request_id: request_id(),
        recipients: vec![PRAIRIE.portal_user.to_owned()],
        chart_id: Some(PRAIRIE.chart.to_owned()),
        subject: "Xsubjectx".to_owned(),
        body: "Xbodyx".to_owned(),
    }
}

/// What is refused, and where.
async fn refusals(suite: &Suite) -> Vec<(Status, &'static str)> {
    let mut staff = suite.person(PRAIRIE.organization, PRAIRIE.staff);
    let mut refused = Vec::new();
    let known = message();
    staff.start_conversation(known.clone()).await.unwrap();
    let with = |body: &str| StartConversationRequest {
        body: body.to_owned(),
        ..message()
    };
    let to_a_foreign_chart = StartConversationRequest {
        chart_id: Some("1003".to_owned()),
        ..message()
    };
    let other_content = StartConversationRequest {
        body: "Xbodyx again".to_owned(),
        ..known
    };
    let too_long = with(&"Xbodyx ".repeat(2_000));
    for request in [with("Xbodyx\0"), too_long, to_a_foreign_chart, other_content] {
        refused.push((
            staff.start_conversation(request).await.unwrap_err(),
            "a refused message",
        ));
    }
    for (query, page_token) in [("Xsearchx".repeat(40), ""), ("Xsearchx".into(), "Xbodyx")] {
        let request = SearchConversationsRequest {
            query,
            page_token: page_token.to_owned(),
            ..SearchConversationsRequest::default()
        };
        refused.push((
            staff.search_conversations(request).await.unwrap_err(),
            "a refused search",
        ));
    }
    let request = GetConversationRequest {
        conversation_id: "Xsubjectx".to_owned(),
    };
    refused.push((staff.get_conversation(request).await.unwrap_err(), "a refused look"));
    let request = ListMessagesRequest {
        conversation_id: "Xsubjectx".to_owned(),
        page_token: "Xbodyx".to_owned(),
        ..ListMessagesRequest::default()
    };
    refused.push((staff.list_messages(request).await.unwrap_err(), "a refused list"));
    refused.extend(refused_records(suite).await);
    refused
}

/// Records with a fault in just what must not be repeated.
async fn refused_records(suite: &Suite) -> Vec<(Status, &'static str)> {
    let mut directory = suite.directory(PRAIRIE.organization);
    let mut refused = Vec::new();
    let (user, doctor, chart) = records(suite).await;
    for (name, email) in [("Xguardianx\0", "a@example.org"), ("Xguardianx", "xaddressx at home")] {
        let mut user = user.clone();
        name.clone_into(&mut user.name);
        email.clone_into(&mut user.email);
        let request = PutPortalUserRequest {
            portal_user: Some(user),
            version: 9,
        };
        refused.push((
            directory.put_portal_user(request).await.unwrap_err(),
            "a refused portal user",
        ));
    }
    let mut doctor = doctor;
    doctor.name = "Xdoctorx\0".to_owned();
    doctor.email = "xofficex at work".to_owned();
    let request = PutStaffRequest {
        staff: Some(doctor),
        version: 9,
    };
    refused.push((directory.put_staff(request).await.unwrap_err(), "refused staff"));
    let mut chart = chart;
    chart.patient_name = "Xpatientx\0".to_owned();
    let request = PutChartRequest {
        chart: Some(chart),
        version: 9,
    };
    refused.push((directory.put_chart(request).await.unwrap_err(), "a refused chart"));
    refused
}

/// The guardian, the doctor and the patient's chart, as they are stored.
async fn records(suite: &Suite) -> (PortalUser, Staff, Chart) {
    let mut directory = suite.directory(PRAIRIE.organization);
    let request = GetPortalUserRequest {
        portal_user_id: id(PRAIRIE.portal_user),
    };
    let user = directory.get_portal_user(request).await.unwrap().into_inner();
    let request = GetStaffRequest {
        staff_id: id(PRAIRIE.staff),
    };
    let doctor = directory.get_staff(request).await.unwrap().into_inner();
    let request = GetChartRequest {
        chart_id: PRAIRIE.chart.to_owned(),
    };
    let chart = directory.get_chart(request).await.unwrap().into_inner();
    (
        user.record.unwrap().portal_user.unwrap(),
        doctor.record.unwrap().staff.unwrap(),
        chart.record.unwrap().chart.unwrap(),
    )
}

/// Without its kind.
fn id(person: &str) -> String {
    person.split_once('/').unwrap().1.to_owned()
}

async fn mark_the_directory(suite: &Suite) {
    let mut directory = suite.directory(PRAIRIE.organization);
    let (mut user, mut doctor, mut chart) = records(suite).await;
    user.name = "Xguardianx".to_owned();
    user.email = format!("{GUARDIANS}@example.org");
    doctor.name = "Dr. Xdoctorx".to_owned();
    doctor.email = format!("{DOCTORS}@example.org");
    chart.patient_name = "Xpatientx".to_owned();
    let user = PutPortalUserRequest {
        portal_user: Some(user),
        version: 1,
    };
    directory.put_portal_user(user).await.unwrap();
    let doctor = PutStaffRequest {
        staff: Some(doctor),
        version: 1,
    };
    directory.put_staff(doctor).await.unwrap();
    let chart = PutChartRequest {
        chart: Some(chart),
        version: 1,
    };
    directory.put_chart(chart).await.unwrap();
}

/// Waits until the guardian has got two emails and the doctor one, after all that the mail server does to the first ones.
async fn both_are_told(suite: &Suite) {
    let told = |name: &str, count: usize| {
        let mails = suite.smtp.mails_to(&format!("{name}@example.org"));
        mails.iter().filter(|mail| mail.acknowledged).count() >= count
    };
    let both = until(LONG, async || told(GUARDIANS, 2) && told(DOCTORS, 1));
    assert!(both.await, "{}", suite.logs());
}

fn assert_unmarked(text: &str, place: &str) {
    let text = text.to_lowercase();
    for mark in MARKS {
        assert!(!text.contains(&mark.to_lowercase()), "{mark} is in {place}");
    }
}

/// A column of all rows of a table, as text.
async fn whole_table(suite: &Suite, service: Service, table: &str, column: &str) -> String {
    let database = Database::connect(suite.servers.postgres_url(suite.database(service)))
        .await
        .unwrap();
    let backend = database.get_database_backend();
    let sql = format!("SELECT {column} AS row FROM {table} t");
    let rows = database
        .query_all_raw(Statement::from_string(backend, sql))
        .await
        .unwrap();
    let texts: Vec<String> = rows.iter().map(|row| row.try_get("", "row").unwrap()).collect();
    database.close().await.unwrap();
    texts.join("\n")
}
