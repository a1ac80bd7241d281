//! The places of watches in this process: how many there are, and whom to wake.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use carepost_identity::{OrganizationId, PersonId};
use carepost_runtime::metrics::metrics;

use super::signal::Signal;
use crate::store::Watched;

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// The process has as many watches as it may.
    #[error("there are as many watches as the process may have")]
    Process,
    /// The person has as many watches here as they may: this many.
    #[error("the person has {0} watches here")]
    Person(usize),
}

/// All places. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Places {
    most: usize,
    most_of_person: usize,
    taken: Arc<Mutex<Taken>>,
}

type OfPersons = HashMap<PersonId, Vec<Arc<Signal>>>;

#[derive(Debug, Default)]
struct Taken {
    count: usize,
    watched: HashMap<OrganizationId, OfPersons>,
}

/// A place. It is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    places: Places,
    watched: Watched,
    signal: Arc<Signal>,
}

impl Places {
    pub fn new(most: usize, most_of_person: usize) -> Self {
        Self {
            most,
            most_of_person,
            taken: Arc::default(),
        }
    }

    /// Takes a place for a watch of this mailbox.
    pub fn take(&self, watched: Watched) -> Result<Place, Full> {
        let mut taken = self.lock();
        if taken.count >= self.most {
            return Err(Full::Process);
        }
        let (organization, person) = watched.clone();
        let signals = taken
            .watched
            .entry(organization)
            .or_default()
            .entry(person)
            .or_default();
        // Nothing to tidy up if there is no place: then there are others of this person.
        if signals.len() >= self.most_of_person {
            return Err(Full::Person(self.most_of_person));
        }
        let signal = Arc::new(Signal::default());
        signals.push(Arc::clone(&signal));
        taken.count += 1;
        metrics().watch_opened();
        Ok(Place {
            places: self.clone(),
            watched,
            signal,
        })
    }

    /// Does something with each signal of a mailbox.
    pub fn of_mailbox(&self, organization: &OrganizationId, person: &PersonId, act: impl Fn(&Signal)) {
        let taken = self.lock();
        let persons = taken.watched.get(organization);
        for signal in persons.and_then(|persons| persons.get(person)).into_iter().flatten() {
            act(signal);
        }
    }

    /// Does something with each signal of an organization.
    pub fn of_organization(&self, organization: &OrganizationId, act: impl Fn(&Signal)) {
        let taken = self.lock();
        let persons = taken.watched.get(organization).into_iter();
        persons
            .flat_map(HashMap::values)
            .flatten()
            .for_each(|signal| act(signal));
    }

    /// Does something with every signal.
    pub fn of_all(&self, act: impl Fn(&Signal)) {
        let taken = self.lock();
        let persons = taken.watched.values().flat_map(HashMap::values);
        persons.flatten().for_each(|signal| act(signal));
    }

    /// Every mailbox that is watched, once.
    pub fn watched(&self) -> Vec<Watched> {
        let taken = self.lock();
        let watched = taken
            .watched
            .iter()
            .flat_map(|(organization, persons)| persons.keys().map(|person| (organization.clone(), person.clone())));
        watched.collect()
    }

    fn give_back(&self, (organization, person): &Watched, signal: &Arc<Signal>) {
        let mut taken = self.lock();
        taken.count -= 1;
        metrics().watch_ended();
        let Some(persons) = taken.watched.get_mut(organization) else {
            return;
        };
        if let Some(signals) = persons.get_mut(person) {
            signals.retain(|other| !Arc::ptr_eq(other, signal));
            if signals.is_empty() {
                persons.remove(person);
            }
        }
        if persons.is_empty() {
            taken.watched.remove(organization);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    pub fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.signal)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.give_back(&self.watched, &self.signal);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mailbox(person: &str) -> Watched {
        ("southern".parse().unwrap(), PersonId::parse(person).unwrap())
    }

    #[test]
    fn places_are_bounded_by_person_and_process_and_come_back() {
        let places = Places::new(3, 2);
        let one = places.take(mailbox("staff/1")).unwrap();
        let _two = places.take(mailbox("staff/1")).unwrap();
        assert_eq!(places.take(mailbox("staff/1")).unwrap_err(), Full::Person(2));
        let three = places.take(mailbox("staff/2")).unwrap();
        assert_eq!(places.take(mailbox("staff/3")).unwrap_err(), Full::Process);
        drop(one);
        let _again = places.take(mailbox("staff/1")).unwrap();
        drop(three);
        assert_eq!(places.watched(), [mailbox("staff/1")]);
    }

    #[test]
    fn nothing_is_left_of_watches_that_are_gone() {
        let places = Places::new(10, 10);
        drop(places.take(mailbox("staff/1")).unwrap());
        assert!(places.lock().watched.is_empty());
        assert_eq!(places.lock().count, 0);
    }
}
