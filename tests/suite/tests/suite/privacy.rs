//! Nothing that somebody wrote, and nobody's name or address, is in logs, events or the ledger of emails.

use carepost_proto::{
    eligibility::v1::{GetChartRequest, GetPortalUserRequest, PutChartRequest, PutPortalUserRequest},
    messaging::v1::StartConversationRequest,
};
use carepost_suite::{Plan, Suite, process::Service, wait::LONG};
use carepost_testkit::{DirectoryFile, Servers};
use sea_orm::{ConnectionTrait, Database, Statement};

use crate::traffic::{PRAIRIE, reply, request_id};

/// Each of these is put where health data or an identity goes, and must be found nowhere else.
const MARKS: [&str; 5] = ["Xsubjectx", "Xbodyx", "Xpatientx", "Xguardianx", "xaddressx"];

#[tokio::test(flavor = "multi_thread")]
async fn marked_text_names_and_addresses_are_in_no_log_event_or_ledger() {
    let suite = Suite::start_on(Servers::private("privacy").await, "privacy", Plan::default()).await;
    suite.import(&DirectoryFile::prairie()).await;
    mark_the_directory(&suite).await;
    // The mail server refuses once with the address in its words.
    suite.smtp.script(|recipient, attempt| {
        use carepost_testkit::smtp::Behaviour;
        match attempt {
            1 => Behaviour::RefuseRecipient(450, format!("4.2.0 <{recipient}> is busy")),
            2 => Behaviour::DropAfterData,
            _ => Behaviour::Accept,
        }
    });
    // While the broker is away, events stay where they can be looked at.
    suite.servers.stop_rabbitmq().await;
    let mut staff = suite.person(PRAIRIE.organization, PRAIRIE.staff);
    let start = StartConversationRequest {
        request_id: request_id(),
        recipients: vec![PRAIRIE.portal_user.to_owned()],
        chart_id: Some(PRAIRIE.chart.to_owned()),
        subject: "Xsubjectx".to_owned(),
        body: "Xbodyx".to_owned(),
    };
    let conversation = staff
        .start_conversation(start.clone())
        .await
        .unwrap()
        .into_inner()
        .conversation_id;
    reply(&suite, PRAIRIE, &conversation, PRAIRIE.portal_user, "Xbodyx").await;
    let refused = [
        StartConversationRequest {
            request_id: request_id(),
            body: "Xbodyx\0".to_owned(),
            ..start.clone()
        },
        StartConversationRequest {
            request_id: request_id(),
            chart_id: Some("1003".to_owned()),
            ..start.clone()
        },
        StartConversationRequest {
            body: "Xbodyx again".to_owned(),
            ..start
        },
    ];
    for request in refused {
        let status = staff.start_conversation(request).await.unwrap_err();
        assert_unmarked(
            &format!("{status:?} {}", String::from_utf8_lossy(status.details())),
            "a refusal",
        );
    }
    let events = whole_table(&suite, Service::Messaging, "outbox", "encode(t.payload, 'escape')").await;
    assert!(events.contains(&conversation), "the events are there, and can be read");
    assert_unmarked(&events, "an event");
    suite.servers.start_rabbitmq().await;
    suite
        .smtp
        .wait_for(|mails| mails.iter().any(|mail| mail.acknowledged), LONG)
        .await;
    for service in Service::ALL {
        suite.stop(service).await;
    }
    let logs = suite.logs();
    assert!(logs.contains("answered"), "the services log what they do");
    assert_unmarked(&logs, "a log");
    let ledger = whole_table(&suite, Service::Notification, "delivery", "t::text").await;
    assert!(ledger.contains("pu-9"), "the delivery is there");
    assert_unmarked(&ledger, "the ledger");
    let mails: Vec<_> = suite
        .smtp
        .mails()
        .into_iter()
        .map(|mail| super::story::decoded(&mail.data))
        .collect();
    let without_recipient = mails.join("\n").replace("xaddressx@example.org", "");
    assert_unmarked(&without_recipient, "an email");
}

async fn mark_the_directory(suite: &Suite) {
    let mut directory = suite.directory(PRAIRIE.organization);
    let request = GetChartRequest {
        chart_id: PRAIRIE.chart.to_owned(),
    };
    let stored = directory.get_chart(request).await.unwrap().into_inner();
    let mut chart = stored.record.unwrap().chart.unwrap();
    chart.patient_name = "Xpatientx".to_owned();
    directory
        .put_chart(PutChartRequest {
            chart: Some(chart),
            version: 1,
        })
        .await
        .unwrap();
    let request = GetPortalUserRequest {
        portal_user_id: "pu-9".to_owned(),
    };
    let stored = directory.get_portal_user(request).await.unwrap().into_inner();
    let mut user = stored.record.unwrap().portal_user.unwrap();
    user.name = "Xguardianx".to_owned();
    user.email = "xaddressx@example.org".to_owned();
    directory
        .put_portal_user(PutPortalUserRequest {
            portal_user: Some(user),
            version: 1,
        })
        .await
        .unwrap();
}

fn assert_unmarked(text: &str, place: &str) {
    for mark in MARKS {
        assert!(
            !text.to_lowercase().contains(&mark.to_lowercase()),
            "{mark} is in {place}"
        );
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
