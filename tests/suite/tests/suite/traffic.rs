//! Messages between staff and a portal user, and what must have become of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use carepost_proto::{
    messaging::v1::{GetUnreadCountRequest, ListMessagesRequest, ReplyRequest, StartConversationRequest},
    notification::v1::{Delivery, DeliveryState, ListDeliveriesRequest},
};
use carepost_suite::{
    Suite,
    process::Service,
    wait::{LONG, until},
};
use sea_orm::{ConnectionTrait, Database, Statement};
use tonic::Code;

/// Two people of a hospital who may write to each other regarding a chart.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub organization: &'static str,
    pub staff: &'static str,
    pub portal_user: &'static str,
    pub chart: &'static str,
    pub email: &'static str,
}

/// A guardian in Prairie, and a doctor of the care team.
pub const PRAIRIE: Pair = Pair {
    organization: "prairie",
    staff: "staff/9999999896",
    portal_user: "portal/pu-9",
    chart: "1021",
    email: "lucia.streich.8@example.org",
};

/// A guardian in Southern, and a doctor of the care team.
pub const SOUTHERN: Pair = Pair {
    organization: "southern",
    staff: "staff/s-506",
    portal_user: "portal/au-92",
    chart: "AU-0008",
    email: "flavia.indira.ballantyne.91@example.org",
};

/// A conversation of a pair in which the staff member has written the first message.
pub async fn begin(suite: &Suite, pair: Pair) -> String {
    let request = StartConversationRequest {
        request_id: request_id(),
        recipients: vec![pair.portal_user.to_owned()],
        chart_id: Some(pair.chart.to_owned()),
        subject: "A question".to_owned(),
        body: "How are you?".to_owned(),
    };
    let mut staff = suite.person(pair.organization, pair.staff);
    staff
        .start_conversation(request)
        .await
        .unwrap()
        .into_inner()
        .conversation_id
}

/// A request id that no other call has.
pub fn request_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    format!("request-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// Sends a reply, and tries again with the same request id until it is accepted, as clients should. Gives its message id.
pub async fn reply(suite: &Suite, pair: Pair, conversation: &str, from: &str, text: &str) -> String {
    let request = ReplyRequest {
        request_id: request_id(),
        conversation_id: conversation.to_owned(),
        body: text.to_owned(),
    };
    let mut client = suite.person(pair.organization, from);
    let mut answer = None;
    let accepted = until(LONG, async || {
        let mut call = tonic::Request::new(request.clone());
        call.set_timeout(Duration::from_secs(5));
        match client.reply(call).await {
            Ok(accepted) => answer = Some(accepted.into_inner().message.unwrap().id),
            // A killed server shows as any of these.
            Err(status) => assert!(
                matches!(
                    status.code(),
                    Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown | Code::Internal
                ),
                "{status:?}"
            ),
        }
        answer.is_some()
    })
    .await;
    assert!(accepted, "a reply was not accepted in time: {}", suite.logs());
    answer.unwrap()
}

/// All deliveries of an organization.
pub async fn deliveries(suite: &Suite, organization: &str) -> Vec<Delivery> {
    let mut client = suite.deliveries(organization);
    let mut all = Vec::new();
    let mut request = ListDeliveriesRequest {
        page_size: 100,
        ..Default::default()
    };
    loop {
        let page = client.list_deliveries(request.clone()).await.unwrap().into_inner();
        all.extend(page.deliveries);
        if page.next_page_token.is_empty() {
            return all;
        }
        request.page_token = page.next_page_token;
    }
}

/// How many rows a table of a service has.
pub async fn rows(suite: &Suite, service: Service, table: &str) -> i64 {
    let query = format!("SELECT count(*) AS rows FROM {table}");
    rows_of(suite, suite.database(service), &query).await
}

/// What a query tells as `rows`, in a database of the suite's server.
pub async fn rows_of(suite: &Suite, database: &str, query: &str) -> i64 {
    let database = Database::connect(suite.servers.postgres_url(database)).await.unwrap();
    let statement = Statement::from_string(database.get_database_backend(), query);
    let rows = database
        .query_one_raw(statement)
        .await
        .unwrap()
        .unwrap()
        .try_get("", "rows")
        .unwrap();
    database.close().await.unwrap();
    rows
}

/// Waits until every message to the portal user has its email, then holds everything against what was promised: all
/// messages are there, in order and without a gap; the badges are right; one delivery and one email for each message to the
/// portal user, and a second email only where an attempt with an unknown outcome was counted; nothing is left behind.
pub async fn settle(suite: &Suite, pair: Pair, conversation: &str, accepted: &BTreeSet<String>) {
    let request = ListMessagesRequest {
        conversation_id: conversation.to_owned(),
        page_size: 100,
        ..Default::default()
    };
    let mut staff = suite.person(pair.organization, pair.staff);
    let mut messages = Vec::new();
    let mut page = request.clone();
    loop {
        let answer = staff.list_messages(page.clone()).await.unwrap().into_inner();
        messages.extend(answer.messages);
        if answer.next_page_token.is_empty() {
            break;
        }
        page.page_token = answer.next_page_token;
    }
    let sequences: Vec<_> = messages.iter().map(|message| message.sequence).collect();
    assert_eq!(
        sequences,
        (1..=i64::try_from(messages.len()).unwrap()).collect::<Vec<_>>()
    );
    let stored: BTreeSet<_> = messages.iter().map(|message| message.id.clone()).collect();
    assert!(accepted.is_subset(&stored), "an acknowledged message is gone");

    for (reader, writer) in [(pair.staff, pair.portal_user), (pair.portal_user, pair.staff)] {
        let mut client = suite.person(pair.organization, reader);
        let mailbox = client
            .get_unread_count(GetUnreadCountRequest {})
            .await
            .unwrap()
            .into_inner()
            .mailbox
            .unwrap();
        let by_others = messages.iter().filter(|message| message.sender == writer).count();
        assert_eq!(
            mailbox.unread_count,
            i64::try_from(by_others).unwrap(),
            "the badge of {reader}"
        );
    }

    let for_email: BTreeSet<_> = messages
        .iter()
        .filter(|message| message.sender == pair.staff)
        .map(|message| message.id.clone())
        .collect();
    let all_sent = until(LONG, async || {
        let sent = deliveries(suite, pair.organization).await;
        sent.len() >= for_email.len() && sent.iter().all(|delivery| delivery.state() == DeliveryState::Sent)
    })
    .await;
    let ledger = deliveries(suite, pair.organization).await;
    assert!(all_sent, "some emails are not sent: {ledger:?}");
    let about: Vec<_> = ledger.iter().map(|delivery| delivery.message_id.clone()).collect();
    assert_eq!(about.len(), for_email.len(), "one delivery for each message");
    assert_eq!(about.into_iter().collect::<BTreeSet<_>>(), for_email);

    let mut emails: BTreeMap<String, i32> = BTreeMap::new();
    for mail in suite.smtp.mails_to(pair.email) {
        *emails.entry(mail.message_id.unwrap()).or_default() += 1;
    }
    assert_eq!(emails.len(), for_email.len(), "an email for each message");
    for delivery in &ledger {
        let count = emails
            .iter()
            .find(|(id, _)| id.contains(&delivery.id))
            .map_or(0, |(_, count)| *count);
        assert!(
            (1..=1 + delivery.unknown_outcome_count).contains(&count),
            "{count} emails, {} attempts without a known outcome",
            delivery.unknown_outcome_count
        );
    }
    let outbox = until(LONG, async || rows(suite, Service::Messaging, "outbox").await == 0).await;
    assert!(outbox, "events are left in the outbox");
}
