//! What a reconciliation takes away.

use std::collections::BTreeMap;

use super::RecordKind;

/// The most records that are named; all are counted.
pub const MAX_REMOVED_RECORDS: usize = 1_000;

/// What goes of one kind of record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removal {
    /// How many there were before the import, deleted ones not counted.
    pub stored: i64,
    /// How many of them go.
    pub removed: i64,
    /// How many are not in the stream, and stay because others refer to them.
    pub kept: i64,
}

impl Removal {
    /// Whether more than 10 % go.
    #[must_use]
    pub fn is_large(&self) -> bool {
        self.removed.saturating_mul(10) > self.stored
    }
}

/// What goes of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Removals(BTreeMap<RecordKind, (Removal, Vec<String>)>);

impl Removals {
    /// Notes how many records of a kind there are.
    pub fn stored(&mut self, kind: RecordKind, stored: i64) {
        self.0.entry(kind).or_default().0.stored = stored;
    }

    /// Adds records of a kind that go, in the order of their ids, and how many stay because others refer to them.
    pub fn add(&mut self, kind: RecordKind, going: Vec<String>, kept: i64) {
        let (removal, named) = self.0.entry(kind).or_default();
        removal.removed += i64::try_from(going.len()).unwrap_or(i64::MAX);
        removal.kept += kept;
        let room = MAX_REMOVED_RECORDS - named.len();
        named.extend(going.into_iter().take(room));
    }

    /// How many records of a kind go.
    #[must_use]
    pub fn removed(&self, kind: RecordKind) -> i64 {
        self.0.get(&kind).map_or(0, |(removal, _)| removal.removed)
    }

    /// Each kind of which there is something.
    pub fn kinds(&self) -> impl Iterator<Item = (RecordKind, Removal)> {
        let kinds = self.0.iter().map(|(kind, (removal, _))| (*kind, *removal));
        kinds.filter(|(_, removal)| removal.stored > 0)
    }

    /// The first records that go, by kind and id.
    pub fn into_records(self) -> impl Iterator<Item = (RecordKind, String)> {
        let named = self
            .0
            .into_iter()
            .flat_map(|(kind, (_, ids))| ids.into_iter().map(move |id| (kind, id)));
        named.take(MAX_REMOVED_RECORDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_percent_may_go_and_not_one_more() {
        let removal = |stored, removed| Removal {
            stored,
            removed,
            kept: 0,
        };
        assert!(!removal(0, 0).is_large());
        assert!(!removal(10, 1).is_large());
        assert!(removal(9, 1).is_large());
        assert!(!removal(1_000, 100).is_large());
        assert!(removal(1_000, 101).is_large());
    }

    #[test]
    fn records_are_named_by_kind_and_id_up_to_a_bound() {
        let mut removals = Removals::default();
        let ids = |kind: char| (0..600).map(|n| format!("{kind}{n:03}")).collect::<Vec<_>>();
        for kind in [RecordKind::Chart, RecordKind::Location] {
            removals.stored(kind, 2_000);
        }
        removals.add(RecordKind::Chart, ids('c'), 0);
        removals.add(RecordKind::Chart, ids('d'), 0);
        removals.add(RecordKind::Location, ids('l'), 2);
        let kinds: Vec<_> = removals
            .kinds()
            .map(|(kind, removal)| (kind, removal.removed, removal.kept))
            .collect();
        assert_eq!(kinds, [(RecordKind::Location, 600, 2), (RecordKind::Chart, 1_200, 0)]);
        let records: Vec<_> = removals.into_records().collect();
        assert_eq!(records.len(), MAX_REMOVED_RECORDS);
        assert_eq!(records[599], (RecordKind::Location, "l599".to_owned()));
        assert_eq!(records[600], (RecordKind::Chart, "c000".to_owned()));
    }
}
