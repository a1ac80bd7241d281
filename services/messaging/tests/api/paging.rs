//! Lists that are read page by page while much happens (I1): what stays in place is seen exactly once, and nothing twice.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU32, Ordering},
};

use carepost_proto::messaging::v1::{
    Folder, ListConversationsRequest, ListConversationsResponse, StartConversationRequest,
};
use proptest::{
    bool::ANY,
    collection::vec,
    prelude::{Just, Strategy},
    prop_oneof,
    sample::subsequence,
    test_runner::{Config, TestRunner},
};
use sea_orm::ConnectionTrait;
use tokio::{runtime::Handle, task::block_in_place};

use crate::{
    folders::{archive, folder, unarchive},
    recount::assert_counts,
    support::{Column, GUARDIAN, NURSE, Service, on_both, portal_start, read_up_to, reply_to},
};

const CONVERSATIONS: usize = 9;
const CASES: u32 = 16;

#[derive(Clone, Copy, Debug)]
enum Deed {
    /// The nurse writes.
    Reply,
    Read,
    Archive,
    Unarchive,
}

/// A list, and what happens while it is read.
#[derive(Clone, Debug)]
struct Case {
    /// Which conversations are archived before.
    archived: Vec<usize>,
    folder: Folder,
    unread_only: bool,
    page_size: i32,
    /// What happens to which conversation while each page is read.
    meanwhile: Vec<Vec<(usize, Deed)>>,
}

fn cases() -> impl Strategy<Value = Case> {
    let deed = prop_oneof![
        4 => Just(Deed::Reply),
        1 => Just(Deed::Read),
        2 => Just(Deed::Archive),
        1 => Just(Deed::Unarchive),
    ];
    let meanwhile = vec(vec((0..CONVERSATIONS, deed), 0..3), 0..5);
    let archived = subsequence((0..CONVERSATIONS).collect::<Vec<_>>(), 0..=CONVERSATIONS);
    let folder = prop_oneof![Just(Folder::Active), Just(Folder::Archived)];
    (archived, folder, ANY, 1..4i32, meanwhile).prop_map(|(archived, folder, unread_only, page_size, meanwhile)| Case {
        archived,
        folder,
        unread_only,
        page_size,
        meanwhile,
    })
}

/// Somebody with conversations.
struct Reader<'a> {
    service: &'a Service,
    person: String,
    ids: Vec<String>,
}

impl<'a> Reader<'a> {
    async fn new(service: &'a Service, archived: &[usize]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let person = format!("staff/reader-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut ids = Vec::new();
        for _ in 0..CONVERSATIONS {
            let request = StartConversationRequest {
                recipients: vec![person.clone()],
                chart_id: None,
                ..portal_start()
            };
            let started = service.of(NURSE).start_conversation(request).await.unwrap();
            ids.push(started.into_inner().conversation_id);
        }
        let reader = Self { service, person, ids };
        for which in archived {
            reader.does((*which, Deed::Archive)).await;
        }
        reader
    }

    async fn does(&self, (which, deed): (usize, Deed)) {
        let id = &self.ids[which];
        let mut reader = self.service.of(&self.person);
        let last = self.service.open(&self.person, id).await.last_sequence;
        match deed {
            Deed::Reply => drop(self.service.of(NURSE).reply(reply_to(id)).await.unwrap()),
            Deed::Read => drop(reader.mark_read(read_up_to(id, last)).await.unwrap()),
            Deed::Archive => drop(reader.archive_conversation(archive(id, last)).await.unwrap()),
            Deed::Unarchive => drop(reader.unarchive_conversation(unarchive(id)).await.unwrap()),
        }
    }

    async fn page(&self, case: &Case, page_token: String) -> ListConversationsResponse {
        let request = ListConversationsRequest {
            page_size: case.page_size,
            page_token,
            folder: case.folder.into(),
            unread_only: case.unread_only,
        };
        let page = self.service.of(&self.person).list_conversations(request).await;
        page.unwrap().into_inner()
    }
}

async fn what_stays_is_seen_once(service: &Service, case: Case) {
    let reader = Reader::new(service, &case.archived).await;
    let before = folder(service, &reader.person, case.folder, case.unread_only).await;
    let mut seen: Vec<String> = Vec::new();
    let mut touched = BTreeSet::new();
    let mut meanwhile = case.meanwhile.iter();
    let mut page_token = String::new();
    loop {
        let deeds = meanwhile.next().cloned().unwrap_or_default();
        touched.extend(deeds.iter().map(|(which, _)| reader.ids[*which].clone()));
        let happening = async {
            for deed in deeds {
                reader.does(deed).await;
            }
        };
        let (page, ()) = tokio::join!(reader.page(&case, page_token), happening);
        assert!(page.conversations.len() <= case.page_size as usize);
        for conversation in &page.conversations {
            assert_eq!(conversation.folder(), case.folder);
            assert!(!case.unread_only || conversation.unread_count > 0);
        }
        seen.extend(page.conversations.into_iter().map(|conversation| conversation.id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(
        seen.iter().collect::<BTreeSet<_>>().len(),
        seen.len(),
        "nothing is repeated"
    );
    let stays = |id: &String| !touched.contains(id);
    let expected: Vec<_> = before
        .into_iter()
        .map(|conversation| conversation.id)
        .filter(stays)
        .collect();
    seen.retain(stays);
    assert_eq!(seen, expected, "nothing that stays is skipped");
}

on_both!(i1_what_stays_in_place_is_seen_exactly_once);
async fn i1_what_stays_in_place_is_seen_exactly_once(column: Column) {
    let service = Service::start(column, "pages").await;
    let config = Config {
        cases: CASES,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let test = |case| {
        block_in_place(|| Handle::current().block_on(what_stays_is_seen_once(&service, case)));
        Ok(())
    };
    TestRunner::new(config).run(&cases(), test).unwrap();
    assert_counts(&service).await;
}

on_both!(i1_conversations_of_the_same_moment_are_seen_once);
async fn i1_conversations_of_the_same_moment_are_seen_once(column: Column) {
    let service = Service::start(column, "moment").await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(service.start_portal().await.conversation_id);
    }
    let database = service.database().await;
    for column in [
        "conversation SET last_message_at",
        "participant SET last_message_at",
        "message SET sent_at",
    ] {
        let one = format!("UPDATE {column} = (SELECT MIN(created_at) FROM conversation)");
        database.execute_unprepared(&one).await.unwrap();
    }
    assert_counts(&service).await;
    ids.sort();
    ids.reverse();
    let listed = folder(&service, GUARDIAN, Folder::Active, false).await;
    assert_eq!(listed.into_iter().map(|found| found.id).collect::<Vec<_>>(), ids);
}
