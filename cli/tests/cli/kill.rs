//! `kill -9` of the suite in the middle of 1,000 sends loses nothing.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicUsize, Ordering},
    },
    time::Duration,
};

use carepost_proto::messaging::v1::{
    ListMessagesRequest, ReplyRequest, messaging_service_client::MessagingServiceClient,
};
use tokio::time::{Instant, sleep};
use tonic::{Request, transport::Channel};

use crate::support::{Home, emails, hospital};

const SENDS: usize = 1_000;
const SENDERS: usize = 4;
/// The kill comes when this many are acknowledged.
const KILL_AFTER: usize = 400;
const LONG: Duration = Duration::from_secs(120);

/// What the senders share: where the suite is now, what is still to be sent, what is acknowledged.
struct Work {
    port: AtomicU16,
    next: AtomicUsize,
    acknowledged: AtomicUsize,
    conversation: String,
    token: String,
}

impl Work {
    fn request<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {}", self.token).parse().unwrap());
        request.set_timeout(Duration::from_secs(5));
        request
    }

    async fn client(&self) -> Option<MessagingServiceClient<Channel>> {
        let url = format!("http://127.0.0.1:{}", self.port.load(Ordering::SeqCst));
        MessagingServiceClient::connect(url).await.ok()
    }
}

/// Sends one message after the other, each under its own id until it is acknowledged, wherever the suite is by then.
async fn send(work: Arc<Work>) -> Vec<String> {
    let mut ids = Vec::new();
    let mut client = None;
    loop {
        let number = work.next.fetch_add(1, Ordering::SeqCst);
        if number >= SENDS {
            return ids;
        }
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < LONG, "a message is not accepted");
            if client.is_none() {
                client = work.client().await;
            }
            let request = ReplyRequest {
                request_id: format!("kill-{number}"),
                conversation_id: work.conversation.clone(),
                body: format!("Message {number}"),
            };
            if let Some(connected) = &mut client
                && let Ok(accepted) = connected.reply(work.request(request)).await
            {
                ids.push(accepted.into_inner().message.unwrap().id);
                work.acknowledged.fetch_add(1, Ordering::SeqCst);
                break;
            }
            client = None;
            sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn all_messages(work: &Work) -> BTreeSet<String> {
    let mut client = work.client().await.unwrap();
    let mut ids = BTreeSet::new();
    let mut page_token = String::new();
    loop {
        let request = ListMessagesRequest {
            conversation_id: work.conversation.clone(),
            page_size: 100,
            page_token,
            ..Default::default()
        };
        let page = client.list_messages(work.request(request)).await.unwrap().into_inner();
        ids.extend(page.messages.into_iter().map(|message| message.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return ids;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_of_a_thousand_sends_loses_nothing_and_sends_each_email_once() {
    let home = Home::new();
    let prairie = hospital("prairie");
    let running = home.run(&["--import", prairie.to_str().unwrap()]);
    let nurse = "staff/9999999896";
    let first = home.json(&["send", "--as", nurse, "--to", "portal/pu-9", "--chart", "1021", "Hello"]);
    let work = Arc::new(Work {
        port: AtomicU16::new(running.port("messaging")),
        next: AtomicUsize::new(0),
        acknowledged: AtomicUsize::new(0),
        conversation: first["conversation_id"].as_str().unwrap().to_owned(),
        token: home.json(&["token", "--as", nurse])["token"]
            .as_str()
            .unwrap()
            .to_owned(),
    });
    let senders: Vec<_> = (0..SENDERS).map(|_| tokio::spawn(send(Arc::clone(&work)))).collect();
    while work.acknowledged.load(Ordering::SeqCst) < KILL_AFTER {
        sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(running.signal("-KILL"), None, "it had no chance to end by itself");
    let running = home.run(&[]);
    work.port.store(running.port("messaging"), Ordering::SeqCst);

    let mut acknowledged = BTreeSet::new();
    for sender in senders {
        acknowledged.extend(sender.await.unwrap());
    }
    assert_eq!(acknowledged.len(), SENDS);
    let stored = all_messages(&work).await;
    assert!(acknowledged.is_subset(&stored));
    assert_eq!(stored.len(), SENDS + 1, "none twice, and the first one");

    // The file of an email has its delivery's name: a second attempt at it writes the same file.
    let begun = Instant::now();
    while emails(&home.data()).len() < stored.len() && begun.elapsed() < LONG {
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(emails(&home.data()).len(), stored.len());
    assert_eq!(running.signal("-TERM"), Some(0));
}
