//! Mailboxes against a simple model (I1 to I4): whatever is done in whatever order, by one after the other or by all at once,
//! badges, folders and order are what the model says, on both databases.

mod asking;
mod reference;

use std::{
    collections::BTreeMap,
    sync::{
        Mutex,
        atomic::{AtomicU32, Ordering},
    },
};

use carepost_proto::messaging::v1::{
    Conversation, Folder, ListConversationsRequest, ListMessagesRequest, StartConversationRequest,
};
use futures::{StreamExt, stream};
use proptest::{
    collection::vec,
    prelude::{Just, Strategy, any},
    prop_oneof,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use tokio::{runtime::Handle, task::block_in_place};

use self::{
    asking::ask,
    reference::{Answer, Ask, Model, Row},
};
use crate::{
    folders::folder,
    recount::assert_counts,
    support::{Client, Column, Service, on_both, portal_start, request_id},
};

/// Who is in which conversation, who started it first. All are staff, but for the last one.
const CONVERSATIONS: [&[usize]; 5] = [&[0, 1, 2], &[1, 0], &[2, 1, 0], &[0, 3], &[1, 3]];
const PEOPLE: usize = 4;
const PORTAL_USER: usize = 3;

/// What somebody does. Sequences are a part of what the conversation has by then, from none to one too many.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Reply,
    Read(u8),
    Unread(u8),
    /// Beside the last sequence.
    Archive(i64),
    Unarchive,
    /// One of the requests before again, under its id.
    Again(usize),
}

impl Deed {
    fn ask(self, last: i64) -> Option<Ask> {
        let sequence = |part: u8| i64::from(part) * (last + 2) / 256;
        Some(match self {
            Self::Reply => Ask::Reply,
            Self::Read(part) => Ask::Read { up_to: sequence(part) },
            Self::Unread(part) => Ask::Unread { from: sequence(part) },
            Self::Archive(beside) => Ask::Archive {
                last_seen: last + beside,
            },
            Self::Unarchive => Ask::Unarchive,
            Self::Again(_) => return None,
        })
    }
}

/// Who does what in which conversation.
type Step = (usize, usize, Deed);

fn step() -> impl Strategy<Value = Step> {
    let deed = prop_oneof![
        5 => Just(Deed::Reply),
        3 => any::<u8>().prop_map(Deed::Read),
        2 => any::<u8>().prop_map(Deed::Unread),
        4 => prop_oneof![5 => Just(0), 2 => Just(-1), 1 => Just(1)].prop_map(Deed::Archive),
        1 => Just(Deed::Unarchive),
        2 => any::<usize>().prop_map(Deed::Again),
    ];
    (0..PEOPLE, 0..CONVERSATIONS.len(), deed)
}

fn config(cases: u32) -> Config {
    Config {
        cases,
        max_shrink_iters: 60,
        failure_persistence: None,
        ..Config::default()
    }
}

/// A request that was made: by whom, where, what, under which id.
#[derive(Clone, Debug)]
struct Asked {
    who: usize,
    which: usize,
    ask: Ask,
    request_id: String,
    answer: Answer,
}

/// A few people with mailboxes of their own, and the model of them.
struct World<'a> {
    service: &'a Service,
    people: Vec<String>,
    model: Model,
    asked: Vec<Asked>,
}

impl<'a> World<'a> {
    async fn new(service: &'a Service) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let world = NEXT.fetch_add(1, Ordering::Relaxed);
        let person = |who| match who {
            PORTAL_USER => format!("portal/{world}-{who}"),
            _ => format!("staff/{world}-{who}"),
        };
        let people: Vec<_> = (0..PEOPLE).map(person).collect();
        let mut model = Model::default();
        for members in CONVERSATIONS {
            let request = StartConversationRequest {
                recipients: members[1..].iter().map(|who| people[*who].clone()).collect(),
                chart_id: members.contains(&PORTAL_USER).then(|| "chart-1".to_owned()),
                ..portal_start()
            };
            let started = service.of(&people[members[0]]).start_conversation(request).await;
            model.start(started.unwrap().into_inner().conversation_id, members);
        }
        let asked = Vec::new();
        Self {
            service,
            people,
            model,
            asked,
        }
    }

    /// Does one step for real and in the model: both answer the same.
    async fn take(&mut self, (who, which, deed): Step) {
        let (again, mut asked) = match (deed, deed.ask(self.model.last_sequence(which))) {
            (_, Some(ask)) => (false, self.new_request(who, which, ask)),
            (Deed::Again(place), _) if !self.asked.is_empty() => {
                (true, self.asked.swap_remove(place % self.asked.len()))
            }
            _ => return,
        };
        // What was refused is not remembered: it is as good as new.
        let known = again && matches!(asked.answer, Answer::Done { .. });
        let expected = if known {
            asked.answer
        } else {
            self.model.ask(asked.who, asked.which, asked.ask)
        };
        let client = self.service.of(&self.people[asked.who]);
        let answer = ask(client, self.model.id(asked.which), asked.ask, asked.request_id.clone()).await;
        assert_eq!(answer, expected, "{asked:?}");
        asked.answer = answer;
        self.asked.push(asked);
    }

    fn new_request(&self, who: usize, which: usize, ask: Ask) -> Asked {
        let (request_id, answer) = (request_id(), Answer::Invalid);
        Asked {
            who,
            which,
            ask,
            request_id,
            answer,
        }
    }

    fn row(&self, conversation: Conversation) -> Row {
        let sender = conversation.last_message.unwrap().sender;
        Row {
            id: conversation.id,
            unread: conversation.unread_count,
            last_read: conversation.last_read_sequence,
            last_sequence: conversation.last_sequence,
            sender: self.people.iter().position(|person| *person == sender).unwrap(),
        }
    }

    /// A folder, on one page.
    async fn list(&self, person: &str, folder: Folder) -> Vec<Row> {
        let request = ListConversationsRequest {
            folder: folder.into(),
            ..Default::default()
        };
        let listed = self.service.of(person).list_conversations(request).await;
        let listed = listed.unwrap().into_inner().conversations;
        listed.into_iter().map(|found| self.row(found)).collect()
    }

    /// Everybody sees what the model says.
    async fn compare(&self) {
        for (who, person) in self.people.iter().enumerate() {
            let mailbox = self.service.mailbox(person).await;
            let expected = (self.model.badge(who), self.model.revision(who));
            assert_eq!((mailbox.unread_count, mailbox.revision), expected, "mailbox of {who}");
            for (of, archived) in [(Folder::Active, false), (Folder::Archived, true)] {
                assert_eq!(
                    self.list(person, of).await,
                    self.model.list(who, archived),
                    "{of:?} of {who}"
                );
            }
        }
    }
}

on_both!(i3_one_after_the_other_mailboxes_are_what_the_model_says);
async fn i3_one_after_the_other_mailboxes_are_what_the_model_says(column: Column) {
    let service = Service::start(column, "model").await;
    let test = async |steps: Vec<Step>| {
        let mut world = World::new(&service).await;
        for step in steps {
            world.take(step).await;
            world.compare().await;
        }
        for person in &world.people {
            recount(&service, person).await;
        }
    };
    let run = |steps| {
        block_in_place(|| Handle::current().block_on(test(steps)));
        Ok(())
    };
    TestRunner::new(config(3)).run(&vec(step(), 30..50), run).unwrap();
    assert_counts(&service).await;
}

on_both!(i3_all_at_once_mailboxes_are_what_their_messages_say);
async fn i3_all_at_once_mailboxes_are_what_their_messages_say(column: Column) {
    let service = Service::start(column, "races").await;
    let other = service.another().await;
    let mut runner = TestRunner::new(config(1));
    for _ in 0..3 {
        let world = World::new(&service).await;
        let steps = vec(step(), 80).new_tree(&mut runner).unwrap().current();
        let badges = Mutex::new(BTreeMap::new());
        let deeds = steps.into_iter().enumerate().map(|(turn, (who, which, deed))| {
            let person = &world.people[who];
            let devices = [service.of(person), service.of_at(&other, person)];
            let (id, badges) = (world.model.id(which), &badges);
            async move {
                for (revision, badge) in on_two_devices(devices, id, deed, turn).await {
                    // Whoever is told of a revision is told the same badge with it.
                    let told = *badges.lock().unwrap().entry((who, revision)).or_insert(badge);
                    assert_eq!(told, badge, "badge of {who} at {revision}");
                }
            }
        });
        stream::iter(deeds).buffer_unordered(16).collect::<()>().await;
        for person in &world.people {
            recount(&service, person).await;
        }
    }
    assert_counts(&service).await;
}

/// One deed for real alone: what comes of it depends on the others. Some are asked for by two devices at once, under one id: it is
/// done once. Gives the revisions that were told, each with its badge.
async fn on_two_devices([one, other]: [Client; 2], id: &str, deed: Deed, turn: usize) -> Vec<(i64, i64)> {
    let request = ListMessagesRequest {
        conversation_id: id.to_owned(),
        page_size: 100,
        ..Default::default()
    };
    let last = match other.clone().list_messages(request).await {
        Ok(page) => page.into_inner().messages.len() as i64,
        Err(_) => 1,
    };
    let (first, request_id) = (if turn.is_multiple_of(2) { &one } else { &other }.clone(), request_id());
    let asked = deed.ask(last).unwrap_or(Ask::Archive { last_seen: last });
    let answers = if turn.is_multiple_of(3) {
        let (one, other) = tokio::join!(
            ask(one, id, asked, request_id.clone()),
            ask(other, id, asked, request_id)
        );
        // One that comes before a message is refused what the other one, after it, is not.
        if [one, other].iter().all(|answer| matches!(answer, Answer::Done { .. })) {
            assert_eq!(one, other, "{asked:?}");
        }
        vec![one, other]
    } else {
        vec![ask(first, id, asked, request_id).await]
    };
    let told = answers.into_iter().filter_map(|answer| match answer {
        Answer::Done { badge, revision, .. } => Some((revision, badge)),
        _ => None,
    });
    told.collect()
}

/// Badge, counts and folders agree with each other and with the marks of the messages.
async fn recount(service: &Service, person: &str) {
    let mut badge = 0;
    for of in [Folder::Active, Folder::Archived] {
        let listed = folder(service, person, of, false).await;
        let order = |found: &Conversation| {
            let time = found.last_message_time.unwrap();
            (time.seconds, time.nanos, found.id.clone())
        };
        assert!(
            listed.is_sorted_by(|one, next| order(one) > order(next)),
            "newest activity first"
        );
        for conversation in listed {
            assert_eq!(conversation.folder(), of);
            let request = ListMessagesRequest {
                conversation_id: conversation.id,
                page_size: 100,
                ..Default::default()
            };
            let messages = service.of(person).list_messages(request).await.unwrap().into_inner();
            assert_eq!(messages.next_page_token, "");
            let unread = messages.messages.iter().filter(|message| message.unread).count() as i64;
            assert_eq!(conversation.unread_count, unread, "{person}");
            badge += if of == Folder::Active { unread } else { 0 };
        }
    }
    assert_eq!(service.badge(person).await, badge, "{person}");
}
