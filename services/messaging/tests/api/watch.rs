//! `WatchInbox`: the badge and what changes, live (I7).

mod abilities;
mod ends;
mod replicas;

use std::{collections::BTreeMap, time::Duration};

use carepost_broker::{event::Event as Published, publisher::Publisher, trace::TraceHeaders};
use carepost_identity::OrganizationId;
use carepost_proto::{
    event::v1::DirectoryChanged,
    messaging::v1::{Conversation, Mailbox, WatchInboxRequest, WatchInboxResponse, watch_inbox_response::Event},
};
use carepost_runtime::{Clock, Ids};
use tokio::time::{Instant, sleep, timeout};
use tonic::{Status, Streaming};

use crate::support::{
    CLERK, Client, Column, DOCTOR, GUARDIAN, NURSE, ORGANIZATION, Plan, Service, on_both, read_up_to, reply_to,
};

/// How long a test waits for anything.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longer than a test: only hints wake a watch.
const NEVER: &str = "[watch]\nheartbeat_ms = 60000\nabilities_spread_ms = 100\n";
const OFTEN: &str = "[watch]\nheartbeat_ms = 200\nabilities_spread_ms = 100\n";

/// An open watch.
struct Watch(Streaming<WatchInboxResponse>);

/// What changed: position, mailbox, conversation.
type Changed = (i64, Mailbox, Conversation);

impl Watch {
    /// Opens one from a position, and takes its first answer.
    async fn open(mut client: Client, after_position: Option<i64>) -> Result<(Self, WatchInboxResponse), Status> {
        let mut watch = Self(
            client
                .watch_inbox(WatchInboxRequest { after_position })
                .await?
                .into_inner(),
        );
        let opened = watch.next().await?;
        assert!(matches!(opened.event, Some(Event::Opened(_))), "{:?}", opened.event);
        Ok((watch, opened))
    }

    async fn now(client: Client) -> Self {
        Self::open(client, None).await.unwrap().0
    }

    async fn next(&mut self) -> Result<WatchInboxResponse, Status> {
        let next = timeout(PATIENCE, self.0.message()).await;
        next.unwrap()?.ok_or_else(|| Status::ok("the end"))
    }

    /// What is told next that has a position of its own.
    async fn changed(&mut self) -> Changed {
        loop {
            let told = self.next().await.unwrap();
            if let Some(Event::ConversationChanged(changed)) = told.event {
                return (told.position, told.mailbox.unwrap(), changed.conversation.unwrap());
            }
        }
    }

    /// Everything up to this position.
    async fn changed_up_to(&mut self, position: i64) -> Vec<Changed> {
        let mut all: Vec<Changed> = Vec::new();
        while all.last().is_none_or(|last| last.0 < position) {
            all.push(self.changed().await);
        }
        all
    }

    async fn ability(&mut self) {
        while !matches!(
            self.next().await.unwrap().event,
            Some(Event::ReplyAbilityMayHaveChanged(_))
        ) {}
    }

    /// How it ends, whatever is told before.
    async fn end(&mut self) -> Status {
        loop {
            if let Err(end) = self.next().await {
                return end;
            }
        }
    }
}

fn plan(settings: &str) -> Plan {
    Plan {
        settings: settings.to_owned(),
        ..Plan::default()
    }
}

/// Both people write and read; gives the conversations.
async fn some_life(service: &Service) -> Vec<String> {
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(service.start_portal().await.conversation_id);
    }
    for turn in 0..6 {
        let id = &ids[turn % 3];
        service.of(NURSE).reply(reply_to(id)).await.unwrap();
        if turn % 2 == 0 {
            service.of(GUARDIAN).reply(reply_to(id)).await.unwrap();
            service.of(GUARDIAN).mark_read(read_up_to(id, 2)).await.unwrap();
        }
    }
    ids
}

on_both!(i7_a_watch_tells_where_it_stands_and_then_every_change);
async fn i7_a_watch_tells_where_it_stands_and_then_every_change(column: Column) {
    let service = Service::start_as(column, "watch", plan(NEVER)).await;
    let id = service.start_portal().await.conversation_id;
    let before = service.mailbox(GUARDIAN).await;
    let (mut watch, opened) = Watch::open(service.of(GUARDIAN), None).await.unwrap();
    assert_eq!((opened.position, opened.mailbox), (before.revision, Some(before)));
    let mut other_device = Watch::now(service.of(GUARDIAN)).await;

    service.of(NURSE).reply(reply_to(&id)).await.unwrap();
    let (position, mailbox, conversation) = watch.changed().await;
    assert_eq!(
        (position, mailbox),
        (before.revision + 1, service.mailbox(GUARDIAN).await)
    );
    assert_eq!((conversation.unread_count, conversation.last_sequence), (2, 2));
    assert_eq!(conversation.position, position);
    // Whole, but for what is asked of eligibility.
    let mut opened = service.open(GUARDIAN, &id).await;
    opened.reply_ability = None;
    assert_eq!(conversation, opened);

    service.of(GUARDIAN).mark_read(read_up_to(&id, 2)).await.unwrap();
    for watch in [&mut watch, &mut other_device] {
        let told = watch.changed_up_to(before.revision + 2).await;
        let (_, mailbox, conversation) = told.last().unwrap();
        assert_eq!((mailbox.unread_count, conversation.unread_count), (0, 0));
    }
}

on_both!(i7_whoever_resumes_misses_nothing_however_old_the_position);
async fn i7_whoever_resumes_misses_nothing_however_old_the_position(column: Column) {
    let service = Service::start_as(column, "resume", plan("[watch]\npage = 2\n")).await;
    let mut live = Watch::now(service.of(GUARDIAN)).await;
    let ids = some_life(&service).await;
    let end = service.mailbox(GUARDIAN).await;
    live.changed_up_to(end.revision).await;
    let mut newest = BTreeMap::new();
    for id in &ids {
        let mut conversation = service.open(GUARDIAN, id).await;
        conversation.reply_ability = None;
        newest.insert(id.clone(), conversation);
    }

    let mut last_changes = BTreeMap::new();
    for after in (0..=end.revision).rev() {
        let (mut watch, opened) = Watch::open(service.of(GUARDIAN), Some(after)).await.unwrap();
        assert_eq!((opened.position, opened.mailbox), (after, Some(end)));
        if after == end.revision {
            continue;
        }
        let told = watch.changed_up_to(end.revision).await;
        assert!(told.is_sorted_by(|one, other| one.0 < other.0), "from {after}");
        assert!(
            told.iter()
                .all(|(position, mailbox, _)| *position > after && *mailbox == end)
        );
        for (position, _, conversation) in &told {
            assert_eq!(conversation, &newest[&conversation.id], "from {after}");
            assert_eq!(conversation.position, *position, "from {after}");
            last_changes.entry(conversation.id.clone()).or_insert(*position);
        }
        // Each conversation whose last change is after the position, once, in the order of those changes.
        let mut expected: Vec<_> = last_changes.iter().filter(|(_, last)| **last > after).collect();
        expected.sort_by_key(|(_, last)| **last);
        let told: Vec<_> = told
            .iter()
            .map(|(last, _, conversation)| (&conversation.id, last))
            .collect();
        assert_eq!(told, expected, "from {after}");
    }
    assert_eq!(last_changes.len(), ids.len());
}

on_both!(c5_a_watch_tells_of_no_other_mailbox_and_says_that_it_is_alive);
async fn c5_a_watch_tells_of_no_other_mailbox_and_says_that_it_is_alive(column: Column) {
    let service = Service::start_as(column, "heartbeat", plan(OFTEN)).await;
    service.start_staff().await;
    let mailbox = service.mailbox(CLERK).await;
    let mut clerk = Watch::now(service.of(CLERK)).await;
    let mut namesake = Watch::now(service.of_organization("prairie", GUARDIAN)).await;
    let mut guardian = Watch::now(service.of(GUARDIAN)).await;
    service.start_portal().await;
    guardian.changed().await;
    for (watch, mailbox) in [(&mut clerk, mailbox), (&mut namesake, Mailbox::default())] {
        let mut beats = 0;
        while beats < 3 {
            let told = watch.next().await.unwrap();
            assert_eq!((told.position, told.mailbox), (mailbox.revision, Some(mailbox)));
            match told.event {
                Some(Event::Heartbeat(_)) => beats += 1,
                Some(Event::ReplyAbilityMayHaveChanged(_)) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

async fn directory_changes(publisher: &Publisher) {
    let payload = DirectoryChanged {
        organization_id: ORGANIZATION.to_owned(),
        location_ids: vec!["main".to_owned()],
        ..DirectoryChanged::default()
    };
    publish(publisher, payload).await;
}

async fn publish(publisher: &Publisher, payload: DirectoryChanged) {
    let now = Clock::system().now();
    let organization = OrganizationId::parse(ORGANIZATION).unwrap();
    let event = Published::directory_changed(Ids.next(now), organization, &payload, TraceHeaders::default(), now);
    // A broker whose queue was made just now may refuse; the relay would come again, too.
    let end = Instant::now() + PATIENCE;
    while let Err(error) = publisher.publish(std::slice::from_ref(&event)).await.pop().unwrap() {
        assert!(Instant::now() < end, "{error}");
        sleep(Duration::from_millis(50)).await;
    }
}

on_both!(i7_reply_ability_may_have_changed_is_told_once_a_second_at_most);
async fn i7_reply_ability_may_have_changed_is_told_once_a_second_at_most(column: Column) {
    let service = Service::start_as(column, "abilities", plan(OFTEN)).await;
    let publisher = Publisher::new(service.broker.clone());
    let mut watch = Watch::now(service.of(NURSE)).await;
    directory_changes(&publisher).await;
    watch.ability().await;
    // It listens, so from now on only changes are told; of another organization's directory nothing.
    let mut stranger = Watch::now(service.of_organization("prairie", NURSE)).await;
    let begun = Instant::now();
    for _ in 0..20 {
        directory_changes(&publisher).await;
    }
    watch.ability().await;
    let mut told = 1;
    for _ in 0..5 {
        match watch.next().await.unwrap().event {
            Some(Event::ReplyAbilityMayHaveChanged(_)) => told += 1,
            Some(Event::Heartbeat(_)) => {}
            other => panic!("{other:?}"),
        }
    }
    let seconds = begun.elapsed().as_secs();
    assert!(told <= seconds + 1, "{told} times in {seconds} s");
    for _ in 0..3 {
        let told = stranger.next().await.unwrap().event;
        assert!(matches!(told, Some(Event::Heartbeat(_))), "{told:?}");
    }
}

on_both!(watches_take_no_places_of_calls);
async fn watches_take_no_places_of_calls(column: Column) {
    let service = Service::start(column, "places").await;
    let mut watches = Vec::new();
    // More than the 512 calls that are let in at once.
    for person in 0..52 {
        for _ in 0..10 {
            watches.push(Watch::now(service.of(&format!("staff/{person}"))).await);
        }
    }
    let id = service.start_staff().await.conversation_id;
    service.of(DOCTOR).reply(reply_to(&id)).await.unwrap();
}

on_both!(lists_searches_and_watches_are_merged_by_position);
async fn lists_searches_and_watches_are_merged_by_position(column: Column) {
    let service = Service::start_as(column, "merge", plan(NEVER)).await;
    let ids = some_life(&service).await;
    let mut guardian = service.of(GUARDIAN);
    let list = carepost_proto::messaging::v1::ListConversationsRequest::default();
    let before = guardian.list_conversations(list.clone()).await.unwrap().into_inner();
    let before = before.conversations.into_iter().find(|one| one.id == ids[0]).unwrap();
    let read = read_up_to(&ids[0], before.last_sequence);
    let answer = guardian.mark_read(read.clone()).await.unwrap().into_inner();
    let revision = answer.mailbox.unwrap().revision;
    assert!(before.position < revision, "an answer that was overtaken loses");

    let after = service.open(GUARDIAN, &ids[0]).await;
    let listed = guardian.list_conversations(list).await.unwrap().into_inner();
    let listed = listed.conversations.into_iter().find(|one| one.id == ids[0]).unwrap();
    let query = carepost_proto::messaging::v1::SearchConversationsRequest {
        query: "wound check".to_owned(),
        ..Default::default()
    };
    let found = guardian.search_conversations(query).await.unwrap().into_inner().results;
    let found = found.into_iter().filter_map(|result| result.conversation);
    let found = found.into_iter().find(|one| one.id == ids[0]).unwrap();
    let (mut watch, _) = Watch::open(service.of(GUARDIAN), Some(revision - 1)).await.unwrap();
    let (position, _, mut told) = watch.changed().await;
    told.reply_ability.clone_from(&after.reply_ability);
    assert_eq!((after.position, position), (revision, revision));
    assert_eq!([&listed, &found, &told], [&after; 3], "ties are the same state");

    // What is so already changes nothing, and neither does a repeated request.
    let again = carepost_proto::messaging::v1::MarkReadRequest {
        request_id: crate::support::request_id(),
        ..read.clone()
    };
    for request in [again, read] {
        let answer = guardian.mark_read(request).await.unwrap().into_inner();
        assert_eq!(answer.mailbox.unwrap().revision, revision);
    }
    assert_eq!(service.open(GUARDIAN, &ids[0]).await, after);
    // What others do to their own side is no change of the guardian's.
    service.of(NURSE).mark_read(read_up_to(&ids[0], 1)).await.unwrap();
    assert_eq!(service.open(GUARDIAN, &ids[0]).await.position, revision);
}
