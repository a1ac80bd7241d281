//! Mailboxes against a simple model (I1 to I4): whatever is done in whatever order, by one after the other or by all at once,
//! badges, folders and order are what the model says, on both databases.

use std::collections::BTreeMap;

use carepost_proto::messaging::v1::{
    ArchiveConversationRequest, Folder, ListMessagesRequest, Mailbox, ReplyRequest, StartConversationRequest,
};
use proptest::{
    collection::vec,
    prelude::Strategy,
    prop_oneof,
    strategy::ValueTree as _,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use tonic::Code;

use crate::{
    folders::{archive, folder, unarchive, unread_from},
    support::{Column, Service, on_both, portal_start, read_up_to, reply_to, request_id},
};

const PEOPLE: usize = 3;
const CONVERSATIONS: usize = 4;

/// What somebody does. Sequences are a part of what the conversation has by then.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Reply,
    Read(u8),
    Unread(u8),
    Archive {
        unseen: bool,
    },
    Unarchive,
    /// The last reply of the same person again, under its id.
    Again,
}

#[derive(Clone, Copy, Debug)]
struct Step {
    who: usize,
    which: usize,
    deed: Deed,
}

fn step() -> impl Strategy<Value = Step> {
    let deed = prop_oneof![
        4 => proptest::strategy::Just(Deed::Reply),
        3 => (0..=255u8).prop_map(Deed::Read),
        2 => (0..=255u8).prop_map(Deed::Unread),
        3 => proptest::bool::weighted(0.2).prop_map(|unseen| Deed::Archive { unseen }),
        1 => proptest::strategy::Just(Deed::Unarchive),
        1 => proptest::strategy::Just(Deed::Again),
    ];
    (0..PEOPLE, 0..CONVERSATIONS, deed).prop_map(|(who, which, deed)| Step { who, which, deed })
}

/// The same steps each time, and others for each seed.
fn steps(seed: u8, count: usize) -> Vec<Step> {
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    vec(step(), count).new_tree(&mut runner).unwrap().current()
}

#[derive(Clone, Copy, Debug, Default)]
struct Side {
    last_read: usize,
    archived: bool,
}

/// A conversation: who wrote each message, and everybody's side of it.
#[derive(Clone, Debug)]
struct Thread {
    id: String,
    senders: Vec<usize>,
    sides: [Side; PEOPLE],
    /// Grows with the activity of all.
    activity: usize,
}

impl Thread {
    fn unread(&self, who: usize) -> usize {
        let later = self.senders.iter().skip(self.sides[who].last_read);
        later.filter(|sender| **sender != who).count()
    }

    /// A sequence that exists, from 1.
    fn sequence(&self, part: u8) -> i64 {
        i64::try_from(1 + usize::from(part) * (self.senders.len() - 1) / 255).unwrap()
    }
}

struct Model {
    threads: Vec<Thread>,
    activity: usize,
}

impl Model {
    fn badge(&self, who: usize) -> usize {
        let active = self.threads.iter().filter(|thread| !thread.sides[who].archived);
        active.map(|thread| thread.unread(who)).sum()
    }

    /// Ids with their unread counts, newest activity first.
    fn list(&self, who: usize, archived: bool) -> Vec<(String, usize)> {
        let mut found: Vec<_> = self
            .threads
            .iter()
            .filter(|thread| thread.sides[who].archived == archived)
            .collect();
        found.sort_by_key(|thread| std::cmp::Reverse(thread.activity));
        found
            .into_iter()
            .map(|thread| (thread.id.clone(), thread.unread(who)))
            .collect()
    }

    fn reply(&mut self, who: usize, which: usize) {
        self.activity += 1;
        let thread = &mut self.threads[which];
        thread.senders.push(who);
        thread.activity = self.activity;
        for side in &mut thread.sides {
            side.archived = false;
        }
    }
}

struct World {
    service: Service,
    people: Vec<String>,
    model: Model,
    /// The last reply of each person, with its answer.
    replies: BTreeMap<usize, (ReplyRequest, Mailbox)>,
}

impl World {
    async fn new(column: Column, hint: &str) -> Self {
        let service = Service::start(column, hint).await;
        let people: Vec<_> = (0..PEOPLE).map(|number| format!("staff/person-{number}")).collect();
        let mut threads = Vec::new();
        for which in 0..CONVERSATIONS {
            let starter = which % PEOPLE;
            let request = StartConversationRequest {
                recipients: people
                    .iter()
                    .filter(|person| **person != people[starter])
                    .cloned()
                    .collect(),
                chart_id: None,
                ..portal_start()
            };
            let started = service.of(&people[starter]).start_conversation(request).await.unwrap();
            threads.push(Thread {
                id: started.into_inner().conversation_id,
                senders: vec![starter],
                sides: [Side::default(); PEOPLE],
                activity: which,
            });
        }
        let activity = CONVERSATIONS;
        Self {
            service,
            people,
            model: Model { threads, activity },
            replies: BTreeMap::new(),
        }
    }

    /// Does one step for real and in the model.
    async fn take(&mut self, Step { who, which, deed }: Step) {
        let thread = self.model.threads[which].clone();
        let (id, last) = (thread.id.as_str(), i64::try_from(thread.senders.len()).unwrap());
        let mut person = self.service.of(&self.people[who]);
        let side = &mut self.model.threads[which].sides[who];
        match deed {
            Deed::Reply => {
                let request = reply_to(id);
                let answer = person.reply(request.clone()).await.unwrap().into_inner();
                self.replies.insert(who, (request, answer.mailbox.unwrap()));
                self.model.reply(who, which);
            }
            Deed::Again => {
                if let Some((request, first)) = self.replies.get(&who) {
                    let answer = person.reply(request.clone()).await.unwrap().into_inner();
                    assert_eq!(answer.mailbox.as_ref(), Some(first));
                }
            }
            Deed::Read(part) => {
                let up_to = thread.sequence(part);
                person.mark_read(read_up_to(id, up_to)).await.unwrap();
                side.last_read = side.last_read.max(usize::try_from(up_to).unwrap());
            }
            Deed::Unread(part) => {
                let from = thread.sequence(part);
                person.mark_unread(unread_from(id, from)).await.unwrap();
                side.last_read = side.last_read.min(usize::try_from(from).unwrap() - 1);
            }
            Deed::Archive { unseen } if unseen && last > 1 => {
                let refused = person.archive_conversation(archive(id, last - 1)).await.unwrap_err();
                assert_eq!(refused.code(), Code::Aborted);
            }
            Deed::Archive { .. } => {
                person.archive_conversation(archive(id, last)).await.unwrap();
                side.archived = true;
            }
            Deed::Unarchive => {
                person.unarchive_conversation(unarchive(id)).await.unwrap();
                side.archived = false;
            }
        }
    }

    /// Everybody sees what the model says.
    async fn compare(&self, after: &str) {
        for (who, person) in self.people.iter().enumerate() {
            let badge = usize::try_from(self.service.badge(person).await).unwrap();
            assert_eq!(badge, self.model.badge(who), "badge of {person} {after}");
            for (of, archived) in [(Folder::Active, false), (Folder::Archived, true)] {
                let listed = folder(&self.service, person, of, false).await;
                let listed: Vec<_> = listed
                    .into_iter()
                    .map(|found| (found.id, usize::try_from(found.unread_count).unwrap()))
                    .collect();
                assert_eq!(listed, self.model.list(who, archived), "{of:?} of {person} {after}");
            }
        }
    }
}

on_both!(i3_one_after_the_other_mailboxes_are_what_the_model_says);
async fn i3_one_after_the_other_mailboxes_are_what_the_model_says(column: Column) {
    for seed in 1..=2 {
        let mut world = World::new(column, "model").await;
        for (number, step) in steps(seed, 60).into_iter().enumerate() {
            world.take(step).await;
            world
                .compare(&format!("after step {number} of seed {seed}: {step:?}"))
                .await;
        }
    }
}

on_both!(i3_all_at_once_mailboxes_are_what_their_messages_say);
async fn i3_all_at_once_mailboxes_are_what_their_messages_say(column: Column) {
    let world = World::new(column, "model-races").await;
    for seed in 1..=3 {
        let deeds = steps(seed, 60).into_iter().map(|step| deed(&world, step));
        futures::future::join_all(deeds).await;
        recount(&world).await;
    }
}

/// One step for real alone: what comes of it depends on the others.
async fn deed(world: &World, Step { who, which, deed }: Step) {
    let id = world.model.threads[which].id.clone();
    let mut person = world.service.of(&world.people[who]);
    let last = world.service.open(&world.people[who], &id).await.last_sequence;
    let sequence = |part: u8| 1 + i64::from(part) * (last - 1) / 255;
    match deed {
        Deed::Reply => drop(person.reply(reply_to(&id)).await.unwrap()),
        Deed::Read(part) => drop(person.mark_read(read_up_to(&id, sequence(part))).await.unwrap()),
        Deed::Unread(part) => drop(person.mark_unread(unread_from(&id, sequence(part))).await.unwrap()),
        Deed::Unarchive => drop(person.unarchive_conversation(unarchive(&id)).await.unwrap()),
        Deed::Archive { .. } => {
            let done = person.archive_conversation(archive(&id, last)).await;
            assert!(done.is_ok() || done.is_err_and(|refused| refused.code() == Code::Aborted));
        }
        Deed::Again => {
            let request = ArchiveConversationRequest {
                request_id: request_id(),
                ..archive(&id, last)
            };
            // Two of the same at once: both say the same.
            let mut twin = person.clone();
            let (one, other) = tokio::join!(
                person.archive_conversation(request.clone()),
                twin.archive_conversation(request)
            );
            match (one, other) {
                (Ok(one), Ok(other)) => assert_eq!(one.into_inner(), other.into_inner()),
                (one, other) => {
                    let refused = one.err().or(other.err()).unwrap();
                    assert_eq!(refused.code(), Code::Aborted, "{refused}");
                }
            }
        }
    }
}

/// Badge, counts and folders agree with each other and with the marks of the messages.
async fn recount(world: &World) {
    for person in &world.people {
        let mut badge = 0;
        let mut found = 0;
        for of in [Folder::Active, Folder::Archived] {
            for conversation in folder(&world.service, person, of, false).await {
                found += 1;
                assert_eq!(conversation.folder(), of);
                let unread = unread_messages(world, person, &conversation.id).await;
                assert_eq!(conversation.unread_count, unread, "{} of {person}", conversation.id);
                badge += if of == Folder::Active { unread } else { 0 };
            }
        }
        assert_eq!(
            (found, world.service.badge(person).await),
            (CONVERSATIONS, badge),
            "{person}"
        );
    }
}

async fn unread_messages(world: &World, person: &str, conversation_id: &str) -> i64 {
    let mut unread = 0;
    let mut page_token = String::new();
    loop {
        let request = ListMessagesRequest {
            conversation_id: conversation_id.to_owned(),
            page_size: 100,
            page_token,
            after_sequence: 0,
        };
        let page = world
            .service
            .of(person)
            .list_messages(request)
            .await
            .unwrap()
            .into_inner();
        unread += page.messages.iter().filter(|message| message.unread).count();
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return i64::try_from(unread).unwrap();
        }
    }
}
