//! Refused calls that wait to be written: those of one kind together, within bounds.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use carepost_runtime::metrics::metrics;
use tokio::sync::Notify;

use crate::record::Record;

/// How many kinds wait at most.
const MOST: usize = 4_096;

/// What makes refusals one kind: all that does not differ from one call to the next.
#[derive(PartialEq, Eq, Hash)]
struct Kind {
    organization: String,
    actor: String,
    via: String,
    origin: String,
    action: String,
    subjects: String,
    outcome: String,
}

impl Kind {
    fn of(record: &Record) -> Self {
        Self {
            organization: record.organization.clone(),
            actor: record.actor.clone(),
            via: record.via.clone(),
            origin: record.origin.clone(),
            action: record.action.clone(),
            subjects: record.subjects.clone(),
            outcome: record.outcome.clone(),
        }
    }
}

/// Refusals that wait, each the first of its kind with the number of all.
#[derive(Default)]
pub(crate) struct Refusals {
    waiting: Mutex<HashMap<Kind, Record>>,
    /// Notified when one comes.
    pub(crate) came: Notify,
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

impl Refusals {
    /// Adds one. If there is no room for its kind, it is counted and logged, which is all that is left.
    pub(crate) fn add(&self, record: Record) {
        if self.put(record) {
            self.came.notify_one();
        }
    }

    fn put(&self, record: Record) -> bool {
        let mut waiting = self.waiting();
        let full = waiting.len() >= MOST;
        let kind = Kind::of(&record);
        match waiting.get_mut(&kind) {
            Some(first) => first.count = first.count.saturating_add(record.count),
            None if full => {
                drop(waiting);
                lose(&record);
                return false;
            }
            None => drop(waiting.insert(kind, record)),
        }
        true
    }

    /// Takes some, the oldest first.
    pub(crate) fn take(&self, most: usize) -> Vec<Record> {
        let mut waiting = self.waiting();
        let mut all: Vec<_> = waiting.drain().map(|(_, record)| record).collect();
        all.sort_by_key(|record| (record.recorded_at, record.id));
        let rest = all.split_off(most.min(all.len()));
        waiting.extend(rest.into_iter().map(|record| (Kind::of(&record), record)));
        all
    }

    /// Puts back what could not be written.
    pub(crate) fn put_back(&self, records: Vec<Record>) {
        for record in records {
            self.put(record);
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<Kind, Record>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refusal that the trail will not have.
pub(crate) fn lose(record: &Record) {
    metrics().audit_lost(record.count.unsigned_abs());
    tracing::warn!(
        audit_organization = record.organization,
        actor = record.actor,
        via = record.via,
        origin = record.origin,
        action = record.action,
        outcome = record.outcome,
        request_id = %record.request_id,
        count = record.count,
        "a refused call could not be recorded"
    );
}
