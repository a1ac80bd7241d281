//! The names that conversations keep copies of, and what becomes of a copy (D2). They decide nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use carepost_identity::{ChartId, PersonId};

use super::{Conversation, Decision, Kind};

/// Persons and charts, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Persons.
    pub persons: BTreeSet<PersonId>,
    /// Charts, for their patients.
    pub charts: BTreeSet<ChartId>,
}

impl Named {
    /// Whether there is nobody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.persons.is_empty() && self.charts.is_empty()
    }

    /// These as well.
    pub fn extend(&mut self, others: Self) {
        self.persons.extend(others.persons);
        self.charts.extend(others.charts);
    }

    /// In groups of at most `most` persons and charts together.
    #[must_use]
    pub fn in_groups(self, most: usize) -> Vec<Self> {
        let persons = self.persons.into_iter().map(Either::Person);
        let charts = self.charts.into_iter().map(Either::Chart);
        let mut groups: Vec<(usize, Self)> = Vec::new();
        for one in persons.chain(charts) {
            if groups.last().is_none_or(|(count, _)| *count >= most) {
                groups.push((0, Self::default()));
            }
            let Some((count, group)) = groups.last_mut() else {
                continue;
            };
            *count += 1;
            match one {
                Either::Person(id) => group.persons.insert(id),
                Either::Chart(id) => group.charts.insert(id),
            };
        }
        groups.into_iter().map(|(_, group)| group).collect()
    }
}

impl Conversation {
    /// Those of whom a decision about this conversation has another name than the copy. A portal user without a connection to
    /// the chart gets no new name of its patient, so there the copy is not old.
    #[must_use]
    pub fn outdated(&self, decision: &Decision) -> Named {
        // A name that is empty is none.
        let other = |name: Option<&String>, copy: &str| name.is_some_and(|name| !name.is_empty() && name != copy);
        let persons = self.participants.iter();
        let persons = persons.filter(|party| other(decision.names.get(&party.person), &party.display_name));
        let follows = self.kind == Kind::Staff || decision.portal_user_connected;
        let charts = self.regarding.iter().filter(|_| follows);
        let charts = charts.filter(|chart| other(decision.patient_name.as_ref(), &chart.patient_name));
        Named {
            persons: persons.map(|participant| participant.person.clone()).collect(),
            charts: charts.map(|regarding| regarding.chart.clone()).collect(),
        }
    }
}

enum Either {
    Person(PersonId),
    Chart(ChartId),
}

/// Names, as the directory has them now. Who is not in it has none, and keeps the copy.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Names {
    /// Of persons.
    pub persons: BTreeMap<PersonId, String>,
    /// Of the patients of charts.
    pub patients: BTreeMap<ChartId, String>,
}

impl Names {
    /// Those of persons alone.
    #[must_use]
    pub fn of_persons(&self) -> Self {
        Self {
            persons: self.persons.clone(),
            patients: BTreeMap::new(),
        }
    }

    /// Those of patients, in groups of at most `most`.
    #[must_use]
    pub fn patients_in_groups(&self, most: usize) -> Vec<BTreeMap<ChartId, String>> {
        let patients: Vec<_> = self.patients.iter().collect();
        let groups = patients.chunks(most.max(1)).map(|some| {
            let some = some.iter().map(|(chart, name)| ((*chart).clone(), (*name).clone()));
            some.collect()
        });
        groups.collect()
    }

    /// The name of a person, if it is known and another one than the copy.
    #[must_use]
    pub fn other_than(&self, person: &PersonId, copy: &str) -> Option<&str> {
        let name = self.persons.get(person)?;
        (name != copy).then_some(name)
    }

    /// The name of a chart's patient, if it is known and another one than the copy.
    #[must_use]
    pub fn other_patient_than(&self, chart: &ChartId, copy: &str) -> Option<&str> {
        let name = self.patients.get(chart)?;
        (name != copy).then_some(name)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Names")
            .field("persons", &self.persons.len())
            .field("patients", &self.patients.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(persons: usize, charts: usize) -> Named {
        Named {
            persons: (0..persons)
                .map(|n| PersonId::parse(&format!("staff/{n}")).unwrap())
                .collect(),
            charts: (0..charts).map(|n| ChartId::parse(n.to_string()).unwrap()).collect(),
        }
    }

    #[test]
    fn groups_hold_everybody_once_and_no_more_than_asked() {
        assert_eq!(named(0, 0).in_groups(10), []);
        assert_eq!(named(6, 4).in_groups(10), [named(6, 4)]);
        let groups = named(6, 5).in_groups(4);
        let sizes: Vec<_> = groups
            .iter()
            .map(|group| (group.persons.len(), group.charts.len()))
            .collect();
        assert_eq!(sizes, [(4, 0), (2, 2), (0, 3)]);
        let mut all = Named::default();
        for group in groups {
            all.extend(group);
        }
        assert_eq!(all, named(6, 5));
    }

    #[test]
    fn d2_only_a_known_and_different_name_replaces_a_copy() {
        let nurse = PersonId::parse("staff/1").unwrap();
        let nobody = PersonId::parse("staff/2").unwrap();
        let names = Names {
            persons: [(nurse.clone(), "New".to_owned())].into(),
            ..Names::default()
        };
        assert_eq!(names.other_than(&nurse, "Old"), Some("New"));
        assert_eq!(names.other_than(&nurse, "New"), None);
        assert_eq!(names.other_than(&nobody, "Old"), None);
    }
}
