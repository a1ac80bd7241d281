//! What a record is written for: a call, or the command of an operator.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use uuid::Uuid;

use crate::{
    record::Who,
    subject::{MOST_SUBJECTS, Subject},
};

/// How far a call has been told of by records of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Told {
    /// Not at all.
    #[default]
    Nothing,
    /// It began, and is to be told of again when it ends.
    Begun,
    /// What it changed was recorded together with the change.
    Changed,
}

/// A call, or the command of an operator, as records tell of it. Clones share what is noted.
#[derive(Clone, Debug)]
pub struct Occasion(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: Uuid,
    action: &'static str,
    origin: String,
    trace_id: String,
    notes: Mutex<Notes>,
}

#[derive(Debug, Default)]
struct Notes {
    who: Who,
    subjects: BTreeSet<Subject>,
    told: Told,
}

impl Occasion {
    /// A call: its id, the path of its RPC, the address of its connection and its trace.
    #[must_use]
    pub fn call(id: Uuid, path: &'static str, origin: Option<IpAddr>, trace_id: String) -> Self {
        let origin = origin.map(|origin| origin.to_canonical().to_string());
        Self::of(id, path, origin.unwrap_or_default(), trace_id)
    }

    /// What a service does by itself, or an operator by a command, such as `operator/export`.
    #[must_use]
    pub fn own(id: Uuid, action: &'static str) -> Self {
        Self::of(id, action, String::new(), String::new())
    }

    fn of(id: Uuid, action: &'static str, origin: String, trace_id: String) -> Self {
        Self(Arc::new(Inner {
            id,
            action,
            origin,
            trace_id,
            notes: Mutex::default(),
        }))
    }

    /// The id of the call: the one that its caller has as `carepost-call-id`, and its log lines as well.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.0.id
    }

    /// What is done: the path of the RPC, or the operator's command.
    #[must_use]
    pub fn action(&self) -> &'static str {
        self.0.action
    }

    /// From where: an IP address, or nothing.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.0.origin
    }

    /// The trace, or nothing.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0.trace_id
    }

    /// Notes who calls, as far as it is known by now.
    pub fn identify(&self, who: Who) {
        self.notes().who = who;
    }

    /// Who calls, as far as it is known.
    #[must_use]
    pub fn who(&self) -> Who {
        self.notes().who.clone()
    }

    /// Notes that the call is about something, however it will end.
    pub fn note(&self, subject: Subject) {
        self.note_all([subject]);
    }

    /// Notes several things. More than a record can name are not kept.
    pub fn note_all(&self, subjects: impl IntoIterator<Item = Subject>) {
        let mut notes = self.notes();
        for subject in subjects {
            if notes.subjects.len() >= MOST_SUBJECTS {
                return;
            }
            notes.subjects.insert(subject);
        }
    }

    /// What was noted, in the order of the names.
    #[must_use]
    pub fn subjects(&self) -> Vec<Subject> {
        self.notes().subjects.iter().cloned().collect()
    }

    /// Notes how far the call has been told of. To be called once that is committed.
    pub fn tell(&self, told: Told) {
        let mut notes = self.notes();
        notes.told = notes.told.max(told);
    }

    /// How far it has been told of.
    #[must_use]
    pub fn told(&self) -> Told {
        self.notes().told
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.0.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PartialEq for Occasion {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.action == other.0.action
    }
}

impl Eq for Occasion {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_is_noted_and_nothing_is_untold_again() {
        let occasion = Occasion::call(Uuid::nil(), "/s/m", "::ffff:10.0.0.1".parse().ok(), String::new());
        let clone = occasion.clone();
        clone.note(Subject::conversation(Uuid::nil()));
        clone.note(Subject::conversation(Uuid::nil()));
        clone.tell(Told::Changed);
        clone.tell(Told::Begun);
        assert_eq!((occasion.subjects().len(), occasion.told()), (1, Told::Changed));
        assert_eq!(occasion.origin(), "10.0.0.1", "an address has one form");
    }
}
