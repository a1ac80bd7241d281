//! Mailboxes as simple as can be: who wrote what, and what each participant has read and put away. Every number is counted anew.

use std::{cmp::Reverse, collections::BTreeMap};

/// What somebody asks for in a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    Reply,
    Read { up_to: i64 },
    Unread { from: i64 },
    Archive { last_seen: i64 },
    Unarchive,
}

impl Ask {
    fn sequence(self) -> Option<i64> {
        match self {
            Self::Read { up_to: sequence }
            | Self::Unread { from: sequence }
            | Self::Archive { last_seen: sequence } => Some(sequence),
            Self::Reply | Self::Unarchive => None,
        }
    }
}

/// What they are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done {
        /// Of the conversation, where it is told.
        unread: Option<i64>,
        badge: i64,
        revision: i64,
    },
    NotFound,
    Invalid,
    /// A newer message came: the last sequence.
    Newer(i64),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Side {
    last_read: i64,
    archived: bool,
}

#[derive(Clone, Debug)]
struct Thread {
    id: String,
    /// Who wrote each message.
    senders: Vec<usize>,
    sides: BTreeMap<usize, Side>,
    /// Grows with the activity of all.
    activity: usize,
}

impl Thread {
    fn last(&self) -> i64 {
        self.senders.len() as i64
    }

    fn unread(&self, who: usize) -> i64 {
        let later = (1..).zip(&self.senders);
        let later = later.filter(|(sequence, sender)| *sequence > self.sides[&who].last_read && **sender != who);
        later.count() as i64
    }
}

/// A conversation in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub id: String,
    pub unread: i64,
    pub last_read: i64,
    pub last_sequence: i64,
    /// Who wrote the last message.
    pub sender: usize,
}

/// The mailboxes of a few people.
#[derive(Default)]
pub struct Model {
    threads: Vec<Thread>,
    revisions: BTreeMap<usize, i64>,
    activity: usize,
}

impl Model {
    /// A conversation was started, by the first of these.
    pub fn start(&mut self, id: String, members: &[usize]) {
        self.threads.push(Thread {
            id,
            senders: Vec::new(),
            sides: members.iter().map(|who| (*who, Side::default())).collect(),
            activity: 0,
        });
        self.send(members[0], self.threads.len() - 1);
    }

    pub fn last_sequence(&self, which: usize) -> i64 {
        self.threads[which].last()
    }

    pub fn id(&self, which: usize) -> &str {
        &self.threads[which].id
    }

    pub fn badge(&self, who: usize) -> i64 {
        let own = self.threads.iter().filter(|thread| thread.sides.contains_key(&who));
        own.filter(|thread| !thread.sides[&who].archived)
            .map(|thread| thread.unread(who))
            .sum()
    }

    pub fn revision(&self, who: usize) -> i64 {
        self.revisions.get(&who).copied().unwrap_or_default()
    }

    /// A folder, newest activity first.
    pub fn list(&self, who: usize, archived: bool) -> Vec<Row> {
        let in_it = |thread: &&Thread| thread.sides.get(&who).is_some_and(|side| side.archived == archived);
        let mut found: Vec<_> = self.threads.iter().filter(in_it).collect();
        found.sort_by_key(|thread| Reverse(thread.activity));
        let row = |thread: &Thread| Row {
            id: thread.id.clone(),
            unread: thread.unread(who),
            last_read: thread.sides[&who].last_read,
            last_sequence: thread.last(),
            sender: thread.senders[thread.senders.len() - 1],
        };
        found.into_iter().map(row).collect()
    }

    /// Somebody asks.
    pub fn ask(&mut self, who: usize, which: usize, ask: Ask) -> Answer {
        let last = self.threads[which].last();
        if ask.sequence().is_some_and(|sequence| sequence < 1) {
            return Answer::Invalid;
        }
        let Some(before) = self.threads[which].sides.get(&who).copied() else {
            return Answer::NotFound;
        };
        if ask.sequence().is_some_and(|sequence| sequence > last) {
            return Answer::Invalid;
        }
        let mut after = before;
        match ask {
            Ask::Reply => self.send(who, which),
            Ask::Archive { last_seen } if last_seen < last && !before.archived => return Answer::Newer(last),
            Ask::Read { up_to } => after.last_read = before.last_read.max(up_to),
            Ask::Unread { from } => after.last_read = before.last_read.min(from - 1),
            Ask::Archive { .. } => after.archived = true,
            Ask::Unarchive => after.archived = false,
        }
        if after != before {
            self.threads[which].sides.insert(who, after);
            *self.revisions.entry(who).or_default() += 1;
        }
        let tells = matches!(ask, Ask::Read { .. } | Ask::Unread { .. });
        Answer::Done {
            unread: tells.then(|| self.threads[which].unread(who)),
            badge: self.badge(who),
            revision: self.revision(who),
        }
    }

    fn send(&mut self, who: usize, which: usize) {
        self.activity += 1;
        let thread = &mut self.threads[which];
        thread.senders.push(who);
        thread.activity = self.activity;
        for (member, side) in &mut thread.sides {
            side.archived = false;
            *self.revisions.entry(*member).or_default() += 1;
        }
    }
}
