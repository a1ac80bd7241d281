//! 5,000 open watches on one process over 50 connections: what each costs in memory, and how long it takes from a commit until
//! everybody has been told.
//!
//! A conversation has 51 people at most, so it takes 100 conversations of 50 to tell all 5,000. Two things are measured: a
//! message in one of them, with everything else quiet; and one in each of them, as fast as they are accepted.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use carepost_proto::messaging::v1::{
    ReplyRequest, StartConversationRequest, WatchInboxRequest, messaging_service_client::MessagingServiceClient,
    watch_inbox_response::Event,
};
use carepost_suite::{Plan, Suite, clients, process::Service};
use carepost_testkit::{DirectoryFile, Servers};
use futures::{StreamExt as _, stream};
use hdrhistogram::Histogram;
use serde_json::json;
use tokio::sync::mpsc;
use tonic::{service::interceptor::InterceptedService, transport::Channel};

use crate::{
    hospital::{BODY, ORGANIZATION},
    load::histogram,
    machine::Machine,
    memory::resident,
    progress, whole_path,
};

const WATCHES: usize = 5_000;
const CONNECTIONS: usize = 50;
/// How many people are in each conversation.
const PEOPLE: usize = 50;
const CONVERSATIONS: usize = WATCHES / PEOPLE;
/// How often each is measured.
const ROUNDS: usize = 20;
/// How many are opened or sent at once.
const AT_ONCE: usize = 16;
/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long memory is left to settle.
const SETTLE: Duration = Duration::from_secs(5);

/// Measures, and tells it in Markdown.
pub async fn measure(servers: Servers) -> String {
    let machine = Machine::read(&servers.postgres_url("postgres")).await;
    let suite = Suite::start_on(servers, "watch", Plan::default()).await;
    whole_path::log_as_in_production(&suite).await;
    progress("directory and conversations");
    let report = suite.import(&directory()).await;
    assert_eq!(report.refused, 0, "{:?}", report.refusals);
    let ids = start_conversations(&suite).await;
    tokio::time::sleep(SETTLE).await;
    let before = resident(&suite, Service::Messaging);
    progress("watches");
    let opened = Instant::now();
    let mut told = open(&suite).await;
    let opened = opened.elapsed();
    tokio::time::sleep(SETTLE).await;
    let idle = resident(&suite, Service::Messaging);
    progress("one message at a time");
    let (mut one, mut all, mut since_last) = (histogram(), histogram(), histogram());
    for round in 0..ROUNDS {
        let times = send(&suite, &ids[round..=round], &mut told).await;
        record(&mut one, times.told, times.begun);
    }
    progress("a message for everybody");
    for _ in 0..ROUNDS {
        let times = send(&suite, &ids, &mut told).await;
        record(&mut all, times.told, times.begun);
        record(&mut since_last, times.told, times.accepted);
    }
    let busy = resident(&suite, Service::Messaging);
    for service in Service::ALL {
        suite.kill(service);
        suite.servers.drop_database(suite.database(service)).await;
    }
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / WATCHES as f64 / 1_024.0;
    format!(
        "{} cores ({}), PostgreSQL {}, load before {}{}\n\n\
         {WATCHES} watches over {CONNECTIONS} connections, opened in {:.1} s. Memory of each, by what the process has more of: \
         {:.1} KiB idle, {:.1} KiB after {} events.\n\n\
         | from … to the last event | p50 ms | p95 ms | most ms |\n|---|--:|--:|--:|\n{}{}{}",
        machine.cores,
        machine.processor,
        machine.postgres,
        machine.load_before,
        if machine.optimised { "" } else { ", a debug build" },
        opened.as_secs_f64(),
        each(idle),
        each(busy),
        ROUNDS * (WATCHES + PEOPLE),
        line("one message being sent, to 50 watches", &one),
        line("the first of 100 messages being sent, to 5,000 watches", &all),
        line("the last of 100 messages being accepted, to 5,000 watches", &since_last),
    )
}

fn record(times: &mut Histogram<u64>, end: Instant, begin: Instant) {
    let micros = end.saturating_duration_since(begin).as_micros();
    times.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
}

fn line(what: &str, times: &Histogram<u64>) -> String {
    let [half, most, all] = [0.5, 0.95, 1.0].map(|share| times.value_at_quantile(share) as f64 / 1_000.0);
    format!("| {what} | {half:.0} | {most:.0} | {all:.0} |\n")
}

fn person(number: usize) -> String {
    format!("staff/w-{number}")
}

fn directory() -> DirectoryFile {
    let staff: Vec<_> = (0..WATCHES)
        .map(|number| {
            json!({
                "id": format!("w-{number}"), "name": format!("Nurse {number}"), "active": true,
                "roles": ["available_for_portal_messages"], "all_locations": true, "locations": [],
            })
        })
        .collect();
    let directory = json!({
        "organization": {
            "id": ORGANIZATION, "name": "Prairie Health Network", "country": "US",
            "messaging": {"enabled": true, "audience": "selected_users"}, "brand": {"name": "My Prairie Care"},
        },
        "locations": [{"id": "main", "name": "Main Street"}],
        "staff": staff, "charts": [], "portal_users": [],
    });
    serde_json::from_value(directory).expect("a directory")
}

fn client(suite: &Suite, channel: &Channel, number: usize) -> MessagingServiceClient<clients::CallerChannel> {
    let metadata = clients::Metadata {
        token: Some(suite.people.person(ORGANIZATION, &person(number))),
        ..clients::Metadata::default()
    };
    MessagingServiceClient::new(InterceptedService::new(channel.clone(), metadata))
}

/// Each with its number.
async fn start_conversations(suite: &Suite) -> Vec<(usize, String)> {
    let channel = clients::channel(suite.address(Service::Messaging));
    let started = stream::iter(0..CONVERSATIONS).map(|conversation| {
        let first = conversation * PEOPLE;
        let request = StartConversationRequest {
            request_id: format!("start-{conversation}"),
            recipients: (first + 1..first + PEOPLE).map(person).collect(),
            chart_id: None,
            subject: "Handover".to_owned(),
            body: BODY.to_owned(),
        };
        let mut client = client(suite, &channel, first);
        async move {
            let started = client.start_conversation(request).await;
            let started = started.expect("staff may write to each other").into_inner();
            (conversation, started.conversation_id)
        }
    });
    started.buffered(AT_ONCE).collect().await
}

/// Opens all watches. Each is read by a task of its own, which tells when it was told of a change.
async fn open(suite: &Suite) -> mpsc::UnboundedReceiver<Instant> {
    let (tell, told) = mpsc::unbounded_channel();
    let channels: Vec<_> = (0..CONNECTIONS)
        .map(|_| clients::channel(suite.address(Service::Messaging)))
        .collect();
    let opening = stream::iter(0..WATCHES).map(|number| {
        let mut client = client(suite, &channels[number % CONNECTIONS], number);
        let tell = tell.clone();
        async move {
            let watch = client.watch_inbox(WatchInboxRequest::default()).await;
            let mut answers = watch.expect("a watch").into_inner();
            answers.message().await.expect("an answer").expect("its first");
            tokio::spawn(async move {
                while let Ok(Some(answer)) = answers.message().await {
                    if let Some(Event::ConversationChanged(_)) = answer.event {
                        let _ = tell.send(Instant::now());
                    }
                }
            });
        }
    });
    opening.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
    told
}

/// When sends began, when the last was accepted, and when the last watch was told of them.
struct Times {
    begun: Instant,
    accepted: Instant,
    told: Instant,
}

/// Sends a message in each of these conversations, and waits until everybody in them has been told.
async fn send(suite: &Suite, conversations: &[(usize, String)], told: &mut mpsc::UnboundedReceiver<Instant>) -> Times {
    static REQUESTS: AtomicU64 = AtomicU64::new(0);
    let channel = clients::channel(suite.address(Service::Messaging));
    let prepared: Vec<_> = conversations
        .iter()
        .map(|(number, id)| {
            let request = ReplyRequest {
                request_id: format!("reply-{}", REQUESTS.fetch_add(1, Ordering::Relaxed)),
                conversation_id: id.clone(),
                body: BODY.to_owned(),
            };
            (client(suite, &channel, number * PEOPLE), request)
        })
        .collect();
    let begun = Instant::now();
    let sends = stream::iter(prepared).map(async |(mut client, request)| {
        client.reply(request).await.expect("staff may reply");
        Instant::now()
    });
    let sent: Vec<_> = sends.buffer_unordered(AT_ONCE).collect().await;
    let accepted = sent.into_iter().max().expect("at least one");
    let mut last = begun;
    for _ in 0..conversations.len() * PEOPLE {
        let next = tokio::time::timeout(PATIENCE, told.recv())
            .await
            .expect("it is told in time");
        last = last.max(next.expect("the watches are open"));
    }
    Times {
        begun,
        accepted,
        told: last,
    }
}
