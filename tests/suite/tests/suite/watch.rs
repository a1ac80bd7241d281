//! The inbox on many devices at once, live (I1 to I4, I7).

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use carepost_proto::messaging::v1::{
    ArchiveConversationRequest, Conversation, Folder, GetUnreadCountRequest, ListConversationsRequest, Mailbox,
    MarkReadRequest, MarkUnreadRequest, ReplyRequest, UnarchiveConversationRequest, WatchInboxRequest,
    WatchInboxResponse, messaging_service_client::MessagingServiceClient, watch_inbox_response::Event,
};
use carepost_suite::{
    Plan, Suite,
    clients::CallerChannel,
    wait::{LONG, until},
};
use carepost_testkit::{DirectoryFile, Servers};
use tokio::{task::JoinHandle, time::sleep};
use tonic::{Code, Status};

use crate::{
    dice::Dice,
    traffic::{PRAIRIE, begin, request_id},
};

const PEOPLE: [&str; 2] = [PRAIRIE.staff, PRAIRIE.portal_user];
const DEVICES: usize = 4;
const CONVERSATIONS: usize = 5;
/// Of each person.
const OPERATIONS: usize = 500;

type Client = MessagingServiceClient<CallerChannel>;

/// What a device or the model holds of a conversation: messages, read up to, unread, archived.
type Held = (i64, i64, i64, bool);

/// What should come of it all. Both people change it, each in the order of their own answers.
#[derive(Default)]
struct Model {
    /// Who wrote each message, by conversation and sequence.
    senders: BTreeMap<(usize, i64), usize>,
    /// By person and conversation: read up to.
    read: BTreeMap<(usize, usize), i64>,
    /// By person and conversation: the last message that was there when it was archived.
    archived: BTreeMap<(usize, usize), i64>,
}

impl Model {
    fn last(&self, conversation: usize) -> i64 {
        let of = self.senders.range((conversation, 0)..=(conversation, i64::MAX));
        of.last().map_or(0, |((_, sequence), _)| *sequence)
    }

    fn held(&self, person: usize, conversation: usize) -> Held {
        let last = self.last(conversation);
        let read = self.read.get(&(person, conversation)).copied().unwrap_or_default();
        let later = self.senders.range((conversation, read + 1)..=(conversation, i64::MAX));
        let unread = later.filter(|(_, sender)| **sender != person).count();
        // Whatever came later, by whomever, has brought it back (I2).
        let archived = self.archived.get(&(person, conversation)) == Some(&last);
        (last, read, i64::try_from(unread).unwrap(), archived)
    }

    fn badge(&self, person: usize) -> i64 {
        let held = (0..CONVERSATIONS).map(|conversation| self.held(person, conversation));
        held.filter(|held| !held.3).map(|held| held.2).sum()
    }
}

fn held(conversation: &Conversation) -> Held {
    (
        conversation.last_sequence,
        conversation.last_read_sequence,
        conversation.unread_count,
        conversation.folder() == Folder::Archived,
    )
}

/// What a device knows from its watch alone.
#[derive(Default)]
struct Seen {
    position: i64,
    mailbox: Mailbox,
    conversations: BTreeMap<String, Held>,
    resumed: usize,
}

impl Seen {
    fn take(&mut self, told: WatchInboxResponse) {
        assert!(told.position >= self.position, "a position never goes down");
        self.position = told.position;
        let mailbox = told.mailbox.unwrap();
        assert!(
            mailbox.revision >= told.position,
            "the mailbox is as new as the position"
        );
        if mailbox.revision >= self.mailbox.revision {
            self.mailbox = mailbox;
        }
        if let Some(Event::ConversationChanged(changed)) = told.event {
            let conversation = changed.conversation.unwrap();
            self.conversations.insert(conversation.id.clone(), held(&conversation));
        }
    }
}

/// A device that watches, and resumes whenever its watch ends.
struct Device {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Device {
    /// One with a patience goes away after so many answers each time, and comes back.
    fn start(client: Client, patience: usize) -> Self {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let task = tokio::spawn(watch(client, Arc::clone(&seen), patience));
        Self { seen, task }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn watch(mut client: Client, seen: Arc<Mutex<Seen>>, patience: usize) {
    loop {
        let request = WatchInboxRequest {
            after_position: Some(seen.lock().unwrap().position),
        };
        if let Ok(answers) = client.watch_inbox(request).await {
            let mut answers = answers.into_inner();
            for _ in 0..patience {
                let Ok(Some(told)) = answers.message().await else { break };
                seen.lock().unwrap().take(told);
            }
        }
        seen.lock().unwrap().resumed += 1;
        sleep(Duration::from_millis(20)).await;
    }
}

/// One person, who acts on any of their devices.
struct Person {
    number: usize,
    clients: Vec<Client>,
    ids: Vec<String>,
    model: Arc<Mutex<Model>>,
    done: Arc<AtomicUsize>,
}

impl Person {
    async fn act(mut self) {
        let mut dice = Dice(u64::try_from(self.number).unwrap() + 7);
        for _ in 0..OPERATIONS {
            let device = dice.below(DEVICES);
            let conversation = dice.below(CONVERSATIONS);
            let last = self.model.lock().unwrap().last(conversation);
            let some = i64::try_from(dice.below(usize::try_from(last).unwrap())).unwrap() + 1;
            match dice.below(10) {
                0..4 => self.reply(device, conversation).await,
                4..6 => {
                    self.read(device, conversation, if dice.below(2) == 0 { last } else { some })
                        .await
                }
                6 => self.unread(device, conversation, some).await,
                7..9 => self.archive(device, conversation, last).await,
                _ => self.unarchive(device, conversation).await,
            }
            self.done.fetch_add(1, Ordering::SeqCst);
        }
    }

    async fn reply(&mut self, device: usize, conversation: usize) {
        let request = ReplyRequest {
            request_id: request_id(),
            conversation_id: self.ids[conversation].clone(),
            body: "And now?".to_owned(),
        };
        let sent = self.clients[device].reply(request).await.unwrap().into_inner();
        let sequence = sent.message.unwrap().sequence;
        let mut model = self.model.lock().unwrap();
        model.senders.insert((conversation, sequence), self.number);
    }

    async fn read(&mut self, device: usize, conversation: usize, last_seen_sequence: i64) {
        let request = MarkReadRequest {
            request_id: request_id(),
            conversation_id: self.ids[conversation].clone(),
            last_seen_sequence,
        };
        self.clients[device].mark_read(request).await.unwrap();
        let mut model = self.model.lock().unwrap();
        let read = model.read.entry((self.number, conversation)).or_default();
        *read = last_seen_sequence.max(*read);
    }

    async fn unread(&mut self, device: usize, conversation: usize, from_sequence: i64) {
        let request = MarkUnreadRequest {
            request_id: request_id(),
            conversation_id: self.ids[conversation].clone(),
            from_sequence,
        };
        self.clients[device].mark_unread(request).await.unwrap();
        let mut model = self.model.lock().unwrap();
        let read = model.read.entry((self.number, conversation)).or_default();
        *read = (from_sequence - 1).min(*read);
    }

    async fn archive(&mut self, device: usize, conversation: usize, last_seen_sequence: i64) {
        let request = ArchiveConversationRequest {
            request_id: request_id(),
            conversation_id: self.ids[conversation].clone(),
            last_seen_sequence,
        };
        let answer = self.clients[device].archive_conversation(request).await;
        match answer.as_ref().map_err(Status::code) {
            Ok(_) => {
                let mut model = self.model.lock().unwrap();
                model.archived.insert((self.number, conversation), last_seen_sequence);
            }
            // The other one wrote meanwhile: nothing is hidden (I1).
            Err(code) => assert_eq!(code, Code::Aborted),
        }
    }

    async fn unarchive(&mut self, device: usize, conversation: usize) {
        let request = UnarchiveConversationRequest {
            request_id: request_id(),
            conversation_id: self.ids[conversation].clone(),
        };
        self.clients[device].unarchive_conversation(request).await.unwrap();
        self.model.lock().unwrap().archived.remove(&(self.number, conversation));
    }
}

/// Stops and starts RabbitMQ while both people are at it.
async fn outages(servers: &Servers, done: &AtomicUsize) {
    let total = 2 * OPERATIONS;
    for [from, to] in [[total / 8, total / 2], [total * 5 / 8, total * 7 / 8]] {
        assert!(until(LONG, async || done.load(Ordering::SeqCst) >= from).await);
        servers.stop_rabbitmq().await;
        assert!(
            until(LONG, async || done.load(Ordering::SeqCst) >= to).await,
            "it goes on"
        );
        servers.start_rabbitmq().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i7_four_devices_of_two_people_agree_whatever_they_do_while_the_broker_comes_and_goes() {
    let servers = Servers::private("inbox").await;
    let suite = Suite::start_on(servers, "inbox", Plan::default()).await;
    suite.import(&DirectoryFile::prairie()).await;
    let mut ids = Vec::new();
    for _ in 0..CONVERSATIONS {
        ids.push(begin(&suite, PRAIRIE).await);
    }
    let model = Arc::new(Mutex::new(Model::default()));
    let first = |conversation| ((conversation, 1), 0);
    model.lock().unwrap().senders.extend((0..CONVERSATIONS).map(first));
    let client = |person: usize| suite.person(PRAIRIE.organization, PEOPLE[person]);
    // Every other device goes away again and again.
    let patience = |device: usize| {
        if device.is_multiple_of(2) {
            usize::MAX
        } else {
            10 + device
        }
    };
    let devices = [0, 1].map(|person| -> Vec<_> {
        (0..DEVICES)
            .map(|device| Device::start(client(person), patience(device)))
            .collect()
    });
    let done = Arc::new(AtomicUsize::new(0));
    let [staff, portal_user] = [0, 1].map(|number| Person {
        number,
        clients: (0..DEVICES).map(|_| client(number)).collect(),
        ids: ids.clone(),
        model: Arc::clone(&model),
        done: Arc::clone(&done),
    });
    tokio::join!(staff.act(), portal_user.act(), outages(&suite.servers, &done));

    for person in [0, 1] {
        let expected: BTreeMap<_, _> = {
            let model = model.lock().unwrap();
            let held = (0..CONVERSATIONS).map(|number| (ids[number].clone(), model.held(person, number)));
            held.collect()
        };
        let badge = model.lock().unwrap().badge(person);
        let mailbox = client(person).get_unread_count(GetUnreadCountRequest {}).await.unwrap();
        let mailbox = mailbox.into_inner().mailbox.unwrap();
        assert_eq!(mailbox.unread_count, badge);
        assert_eq!(listed(client(person)).await, expected);
        for (number, device) in devices[person].iter().enumerate() {
            let agrees = async || {
                let seen = device.seen.lock().unwrap();
                seen.mailbox == mailbox && seen.position == mailbox.revision && seen.conversations == expected
            };
            let in_time = until(LONG, agrees).await;
            let seen = device.seen.lock().unwrap();
            assert!(
                in_time,
                "device {number} of {}: {:?} at {}, {:#?}\nexpected {mailbox:?}, {expected:#?}",
                PEOPLE[person], seen.mailbox, seen.position, seen.conversations
            );
            assert_eq!(seen.resumed > 0, patience(number) < usize::MAX, "device {number}");
        }
    }
}

/// What the lists of both folders hold.
async fn listed(mut client: Client) -> BTreeMap<String, Held> {
    let mut all = BTreeMap::new();
    for folder in [Folder::Active, Folder::Archived] {
        let request = ListConversationsRequest {
            folder: folder.into(),
            page_size: 100,
            ..ListConversationsRequest::default()
        };
        let list = client.list_conversations(request).await.unwrap().into_inner();
        all.extend(
            list.conversations
                .iter()
                .map(|conversation| (conversation.id.clone(), held(conversation))),
        );
    }
    all
}
