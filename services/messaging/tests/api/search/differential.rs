//! PostgreSQL, SQLite and a search that simply looks at everything find the same: the same conversations, in the same order,
//! with the same snippets.

use std::{collections::BTreeSet, time::Duration};

use carepost_audit::Occasion;
use carepost_folding::fold;
use carepost_identity::{Actor, ChartId, OrganizationId, PersonId};
use carepost_messaging::{
    domain::{Body, Decision, Limits, Made, Parties, SearchQuery, Snippet, SnippetSource, Start, Subject, Thread},
    store::{ConversationPosition, RequestKey, Search, Store, Write},
};
use carepost_messaging_migration::Migrator;
use chrono::{DateTime, TimeDelta, Utc};
use sea_orm_migration::MigratorTrait;
use uuid::Uuid;

use super::stored::database;
use crate::support::Column;

const NURSE: &str = "staff/nurse";
/// More than are looked through before the index is asked.
const CONVERSATIONS: usize = 260;
const QUERIES: usize = 250;

/// SplitMix64: the same texts in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % end as u64) as usize
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    /// A few words of few letters each, so that a part of one is often found in another.
    fn text(&mut self, most: usize) -> String {
        const LETTERS: [&str; 8] = [
            "abeABÉßłœ",
            "αβσςΣάΏ",
            "дйЙёЕи",
            "سلاأمـَ",
            "中文字國",
            "💊💉🩹❤\u{fe0f}👩\u{200d}⚕",
            "%_'\"\\?!.-–’;()/",
            "e\u{301}a\u{308}\u{301} ",
        ];
        let mut text = String::new();
        for _ in 0..=self.below(most) {
            let letters: Vec<char> = self.of(&LETTERS).chars().collect();
            for _ in 0..=self.below(5) {
                text.push(self.of(&letters));
            }
            if self.below(2) == 0 {
                text.push(self.of(&[' ', ' ', '\u{a0}']));
            }
        }
        text
    }
}

/// A conversation of the reference.
struct Kept {
    id: Uuid,
    at: DateTime<Utc>,
    mine: bool,
    subject: String,
    names: Vec<(PersonId, String)>,
    patient: Option<String>,
    bodies: Vec<String>,
}

/// What a result is: the conversation, what the snippet is a part of, and the snippet's text with its mark.
type Result = (Uuid, SnippetSource, String, usize, usize);

impl Kept {
    /// The place of a text by looking at everything.
    fn place(&self, query: &str) -> Option<SnippetSource> {
        let has = |text: &str| fold(text).contains(query);
        let newest = self.bodies.iter().rposition(|body| has(body));
        let name = self.names.iter().find(|(_, name)| has(name));
        newest
            .map(|place| SnippetSource::Body(place as i64 + 1))
            .or_else(|| has(&self.subject).then_some(SnippetSource::Subject))
            .or_else(|| name.map(|(person, _)| SnippetSource::ParticipantName(person.clone())))
            .or_else(|| {
                self.patient
                    .as_deref()
                    .is_some_and(has)
                    .then_some(SnippetSource::PatientName)
            })
    }
}

/// The stores and the reference, filled with the same.
struct World {
    stores: Vec<Store>,
    kept: Vec<Kept>,
    random: Random,
    now: DateTime<Utc>,
    ids: u128,
    organization: OrganizationId,
}

impl World {
    fn made(&mut self) -> Made {
        // Some come at the same time.
        self.now += TimeDelta::seconds(self.random.below(2) as i64);
        let mut next = || {
            self.ids += 1;
            // Not in the order in which they are made.
            Uuid::from_u128(self.ids.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
        };
        Made {
            conversation: next(),
            message: next(),
            event: next(),
            now: self.now,
        }
    }

    fn body(&mut self) -> Body {
        loop {
            if let Ok(body) = Body::parse(&self.random.text(12), Limits::default()) {
                return body;
            }
        }
    }

    async fn start(&mut self) {
        let mine = self.random.below(4) != 0;
        let person = |text: &str| PersonId::parse(text).unwrap();
        let sender = person(if mine { NURSE } else { "staff/other" });
        let to = person(self.random.of(&["staff/doctor", "portal/guardian"]));
        let chart = (to.to_string() == "portal/guardian").then(|| ChartId::parse("c").unwrap());
        let parties = Parties::parse(&sender, std::slice::from_ref(&to), chart, Limits::default()).unwrap();
        let everybody = BTreeSet::from([sender.clone(), to]).into_iter();
        let names: Vec<_> = everybody.map(|person| (person, self.random.text(2))).collect();
        let patient = parties.chart().map(|_| self.random.text(2));
        let (subject, body, made) = (self.random.text(3), self.body(), self.made());
        let start = Start {
            sender: sender.clone(),
            parties,
            subject: Subject::parse(&subject, Limits::default()).unwrap(),
            body,
        };
        let new = start
            .conversation(&self.organization, allowed(&names, &patient), made)
            .unwrap();
        for store in &self.stores {
            let actor = Actor::Person(sender.clone());
            let occasion = Occasion::own(made.event, "test");
            let write = self.write(&actor, &occasion, made);
            let done = store.start(write, key(&made.message.to_string()), new.clone()).await;
            done.unwrap();
        }
        self.kept.push(Kept {
            id: made.conversation,
            at: made.now,
            mine,
            subject: new.subject.as_str().to_owned(),
            names,
            patient,
            bodies: vec![new.message.body.as_str().to_owned()],
        });
    }

    async fn reply(&mut self) {
        let (body, made) = (self.body(), self.made());
        let place = self.random.below(self.kept.len());
        let kept = &mut self.kept[place];
        let thread = Thread {
            id: kept.id,
            chart: None,
            last_sequence: kept.bodies.len() as i64,
            participants: kept.names.iter().map(|(person, _)| person.clone()).collect(),
        };
        kept.at = made.now;
        kept.bodies.push(body.as_str().to_owned());
        let sender = thread.participants[0].clone();
        let message = thread.reply(&self.organization, sender.clone(), body, made);
        for store in &self.stores {
            let actor = Actor::Person(sender.clone());
            let occasion = Occasion::own(made.event, "test");
            let write = self.write(&actor, &occasion, made);
            store
                .reply(write, key(&made.message.to_string()), thread.id, message.clone())
                .await
                .unwrap();
        }
    }

    fn write<'a>(&'a self, actor: &'a Actor, occasion: &'a Occasion, made: Made) -> Write<'a> {
        Write {
            organization: &self.organization,
            actor,
            now: made.now,
            occasion,
        }
    }

    /// A part of something that was written, in other case, or something else.
    fn query(&mut self) -> SearchQuery {
        loop {
            let place = self.random.below(self.kept.len());
            let kept = &self.kept[place];
            let texts: Vec<&str> = kept
                .bodies
                .iter()
                .map(String::as_str)
                .chain([kept.subject.as_str()])
                .chain(kept.names.iter().map(|(_, name)| name.as_str()))
                .chain(kept.patient.as_deref())
                .collect();
            let text: Vec<char> = self.random.of(&texts).chars().collect();
            let from = self.random.below(text.len() + 1);
            let part = text[from..].iter().take(2 + self.random.below(8));
            let part = match self.random.below(3) {
                0 => part.flat_map(|character| character.to_uppercase()).collect(),
                1 => self.random.text(1),
                _ => String::from_iter(part),
            };
            if let Ok(query) = SearchQuery::parse(&part) {
                return query;
            }
        }
    }

    fn expected(&self, query: &SearchQuery) -> Vec<(Uuid, SnippetSource)> {
        let mut mine: Vec<_> = self.kept.iter().filter(|kept| kept.mine).collect();
        mine.sort_by_key(|kept| std::cmp::Reverse((kept.at, kept.id)));
        let found = mine
            .into_iter()
            .filter_map(|kept| Some((kept.id, kept.place(query.folded())?)));
        found.collect()
    }

    /// All pages of a search.
    async fn found(&self, store: &Store, query: &SearchQuery, most: usize) -> Vec<Result> {
        let (mut results, mut after) = (Vec::new(), None);
        let nurse = PersonId::parse(NURSE).unwrap();
        loop {
            let search = Search {
                query,
                after,
                most,
                within: Duration::from_secs(30),
            };
            let page = store.search(&self.organization, &nurse, search).await.unwrap();
            after = page.last().map(|found| ConversationPosition::of(&found.conversation));
            let full = page.len() == most;
            results.extend(page.into_iter().map(|found| {
                let body = found.body.as_ref().map(|body| (body.sequence, body.text.as_str()));
                let snippet = Snippet::of(query, &found.conversation, body).unwrap();
                (
                    found.conversation.id,
                    snippet.source,
                    snippet.text,
                    snippet.match_start,
                    snippet.match_length,
                )
            }));
            if !full {
                return results;
            }
        }
    }
}

fn allowed(names: &[(PersonId, String)], patient: &Option<String>) -> Decision {
    Decision {
        denials: Vec::new(),
        names: names.iter().cloned().collect(),
        patient_name: patient.clone(),
        chart_url: None,
        staff_chart_access: None,
        portal_user_connected: true,
    }
}

fn key(id: &str) -> RequestKey<'_> {
    RequestKey {
        rpc: "Test",
        id,
        digest: [0; 32],
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn i5_both_databases_find_what_is_there() {
    let (postgres, _) = database(Column::Real, "differential").await;
    let (sqlite, _folder) = database(Column::Embedded, "differential").await;
    for database in [&postgres, &sqlite] {
        Migrator::up(database, None).await.unwrap();
    }
    let mut world = World {
        stores: vec![Store::new(postgres), Store::new(sqlite)],
        kept: Vec::new(),
        random: Random(20_261_122),
        now: DateTime::from_timestamp(1_800_000_000, 0).unwrap(),
        ids: 0,
        organization: OrganizationId::parse("southern").unwrap(),
    };
    for _ in 0..CONVERSATIONS {
        world.start().await;
        world.reply().await;
    }
    let (mut many, mut none) = (0, 0);
    for _ in 0..QUERIES {
        let query = world.query();
        let most = 1 + world.random.below(40);
        let expected = world.expected(&query);
        let text = query.folded();
        let on_postgres = world.found(&world.stores[0], &query, most).await;
        let places: Vec<_> = on_postgres
            .iter()
            .map(|(id, source, ..)| (*id, source.clone()))
            .collect();
        assert_eq!(places, expected, "PostgreSQL, {text:?}");
        let on_sqlite = world.found(&world.stores[1], &query, most).await;
        assert_eq!(on_sqlite, on_postgres, "SQLite, {text:?}");
        many += usize::from(expected.len() > 5);
        none += usize::from(expected.is_empty());
    }
    // The queries are of all kinds.
    assert!(
        many > QUERIES / 20 && none > QUERIES / 20,
        "{many} with many results, {none} without"
    );
}
