//! An import: what comes in, in what groups it is written, and what is told of it at the end.

use std::{collections::HashSet, mem};

use super::{Incoming, Record, Seed, SeedContent};
use crate::domain::version::Change;

/// The most refusals that an import names; all are counted.
pub const MAX_REFUSALS: usize = 1_000;
/// The most records that came back that an import names; all are counted.
pub const MAX_RESTORED: usize = 1_000;
/// The most items of one group.
pub const MAX_GROUP: usize = 512;
/// The size at which a group is written, in bytes. While it is, it takes up to a hundred times as much memory: each entry of a long
/// list of short ids becomes a row.
const MAX_GROUP_BYTES: usize = 512 * 1_024;

/// What kind a record is. In the order in which kinds may refer to each other: a record may need one of an earlier kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// The organization.
    Organization,
    /// A location.
    Location,
    /// A member of staff.
    Staff,
    /// A chart.
    Chart,
    /// A portal user.
    PortalUser,
    /// Messaging settings.
    MessagingSettings,
    /// A brand.
    Brand,
}

impl RecordKind {
    /// Whether other records have to refer to records of this kind.
    #[must_use]
    pub fn is_referred_to(self) -> bool {
        matches!(self, Self::Organization | Self::Location)
    }

    /// The kind in a word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Organization => "organization",
            Self::Location => "location",
            Self::Staff => "staff",
            Self::Chart => "chart",
            Self::PortalUser => "portal_user",
            Self::MessagingSettings => "messaging_settings",
            Self::Brand => "brand",
        }
    }
}

/// What an import writes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A record.
    Record(Incoming),
    /// What is written only where it was never set.
    Seed(Seed),
}

impl Entry {
    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Record(incoming) => incoming.record.kind(),
            Self::Seed(seed) => match seed.content {
                SeedContent::Messaging(_) => RecordKind::MessagingSettings,
                SeedContent::Brand(_) => RecordKind::Brand,
            },
        }
    }

    /// The location that it refers to, if there is one.
    fn location(&self) -> Option<String> {
        let id = match self {
            Self::Record(Incoming {
                record: Record::Chart(chart),
                ..
            }) => Some(&chart.location),
            Self::Record(_) => None,
            Self::Seed(seed) => seed.location.as_ref(),
        };
        id.map(ToString::to_string)
    }
}

/// How to import.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// The stream is the whole directory: what it does not have goes.
    pub reconcile: bool,
    /// Write nothing.
    pub validate_only: bool,
    /// Let more than 10 % of a kind go.
    pub allow_large_removal: bool,
}

/// One item of the stream, as it was read.
#[derive(Clone, Debug)]
pub struct Item {
    /// What kind it is, if it is a record at all.
    pub kind: Option<RecordKind>,
    /// Its id, if it has one that can be read; of a seed, the location's, which is empty for the organization's own.
    pub id: Option<String>,
    /// What it says, or why it is refused.
    pub entry: Result<Entry, Refusal>,
}

/// Why an item is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The reason.
    pub reason: RefusalReason,
    /// What is wrong, in English, without any content.
    pub message: String,
}

/// The reasons to refuse an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// Fields of it are wrong.
    Invalid,
    /// It came before in the same stream.
    Duplicate,
    /// What it has to refer to does not exist.
    ReferenceMissing,
    /// A newer version is stored.
    Outdated,
    /// The same version is stored with other content.
    Conflict,
}

impl Item {
    /// Its kind and id, if it has both.
    #[must_use]
    pub fn named(&self) -> Option<(RecordKind, &str)> {
        self.kind.zip(self.id.as_deref())
    }

    /// Whether it may have been a record of the directory, and nobody can tell which. Seeds are none: what they are for does not
    /// go with a reconciliation.
    fn is_nameless(&self) -> bool {
        let is_seed = matches!(self.kind, Some(RecordKind::MessagingSettings | RecordKind::Brand));
        self.named().is_none() && !is_seed
    }
}

/// Makes groups in which nothing comes before what it refers to: so a group can be written kind by kind, and still only what
/// came earlier in the stream counts.
#[derive(Debug, Default)]
pub struct Intake {
    group: Vec<Item>,
    bytes: usize,
    /// The locations that the group refers to.
    awaited: HashSet<String>,
}

impl Intake {
    /// Takes the next item, of this size in bytes. Gives out the group before it if that has to be written first.
    pub fn take(&mut self, item: Item, bytes: usize) -> Option<Vec<Item>> {
        let full = self.group.len() == MAX_GROUP || self.bytes + bytes > MAX_GROUP_BYTES;
        let too_late = match item.kind {
            Some(RecordKind::Organization) => true,
            Some(RecordKind::Location) => item.id.as_ref().is_some_and(|id| self.awaited.contains(id)),
            _ => false,
        };
        let ready = (!self.group.is_empty() && (full || too_late)).then(|| self.rest());
        self.awaited.extend(item.entry.as_ref().ok().and_then(Entry::location));
        self.bytes += bytes;
        self.group.push(item);
        ready
    }

    /// The last group.
    pub fn rest(&mut self) -> Vec<Item> {
        self.bytes = 0;
        self.awaited.clear();
        mem::take(&mut self.group)
    }
}

/// The entries of a group that are not refused, in the order in which they can be written, each with its place in the group.
#[must_use]
pub fn in_writing_order(group: &[Item]) -> Vec<(usize, &Entry)> {
    let mut entries: Vec<_> = group
        .iter()
        .enumerate()
        .filter_map(|(place, item)| Some((place, item.entry.as_ref().ok()?)))
        .collect();
    entries.sort_by_key(|(_, entry)| entry.kind());
    entries
}

/// What is told of an import at the end.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// The place of the first record in the stream.
    pub first: i64,
    /// How many records were new.
    pub added: i64,
    /// How many replaced another state.
    pub changed: i64,
    /// How many were stored like this already.
    pub unchanged: i64,
    /// How many were refused.
    pub refused: i64,
    /// The first [`MAX_REFUSALS`] refusals, each with its place in the stream, its kind and its id.
    pub refusals: Vec<(i64, Option<RecordKind>, String, Refusal)>,
    /// The place of the first record whose id could not be read.
    pub nameless: Option<i64>,
    /// How many deleted records came back.
    pub restored: i64,
    /// The first [`MAX_RESTORED`] of them, in the order of the stream.
    pub restored_records: Vec<(RecordKind, String)>,
}

impl Tally {
    /// How many records there were.
    #[must_use]
    pub fn records(&self) -> i64 {
        self.added + self.changed + self.unchanged + self.refused
    }

    /// Notes that an item brought a deleted record back.
    pub fn note_restored(&mut self, item: &Item) {
        self.restored += 1;
        if self.restored_records.len() < MAX_RESTORED
            && let Some((kind, id)) = item.named()
        {
            self.restored_records.push((kind, id.to_owned()));
        }
    }

    /// Counts the next item of the stream.
    pub fn count(&mut self, item: Item, outcome: Result<Change, Refusal>) {
        let index = self.first + self.records();
        if item.is_nameless() {
            self.nameless.get_or_insert(index);
        }
        let Item { kind, id, .. } = item;
        let id = id.unwrap_or_default();
        match outcome {
            Ok(Change::Added) => self.added += 1,
            Ok(Change::Changed) => self.changed += 1,
            Ok(Change::Unchanged) => self.unchanged += 1,
            Err(refusal) => {
                self.refused += 1;
                if self.refusals.len() < MAX_REFUSALS {
                    self.refusals.push((index, kind, id, refusal));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::directory::{Location, Messaging, Name};

    fn item(kind: RecordKind, id: &str) -> Item {
        let refusal = Refusal {
            reason: RefusalReason::Invalid,
            message: String::new(),
        };
        Item {
            kind: Some(kind),
            id: Some(id.to_owned()).filter(|id| !id.is_empty()),
            entry: Err(refusal),
        }
    }

    fn ids(group: Option<Vec<Item>>) -> Vec<String> {
        group.into_iter().flatten().filter_map(|item| item.id).collect()
    }

    #[test]
    fn only_a_record_whose_id_cannot_be_read_leaves_a_directory_incomplete() {
        assert_eq!(item(RecordKind::Staff, "s").named(), Some((RecordKind::Staff, "s")));
        assert_eq!(item(RecordKind::Staff, "").named(), None);
        assert!(item(RecordKind::Staff, "").is_nameless());
        let unreadable_seed = item(RecordKind::Brand, "");
        assert_eq!((unreadable_seed.named(), unreadable_seed.is_nameless()), (None, false));
    }

    fn setting_of(location: &str) -> Item {
        let seed = Seed {
            location: Some(location.parse().unwrap()),
            content: SeedContent::Messaging(Messaging::Disabled(None)),
        };
        Item {
            kind: Some(RecordKind::MessagingSettings),
            id: Some(location.to_owned()),
            entry: Ok(Entry::Seed(seed)),
        }
    }

    #[test]
    fn a_group_ends_before_what_it_has_referred_to() {
        let mut intake = Intake::default();
        intake.take(item(RecordKind::Location, "l1"), 1);
        intake.take(setting_of("l1"), 1);
        assert!(intake.take(item(RecordKind::Location, "l2"), 1).is_none());
        intake.take(setting_of("l3"), 1);
        assert_eq!(
            ids(intake.take(item(RecordKind::Location, "l3"), 1)),
            ["l1", "l1", "l2", "l3"]
        );
        assert_eq!(ids(intake.take(item(RecordKind::Organization, "o"), 1)), ["l3"]);
    }

    #[test]
    fn what_is_referred_to_is_written_first() {
        let brand = Seed {
            location: None,
            content: SeedContent::Messaging(Messaging::Disabled(None)),
        };
        let location = Location {
            id: "l".parse().unwrap(),
            name: Name::parse("L".to_owned()).unwrap(),
            country: None,
        };
        let incoming = Incoming::new(Record::Location(location), None);
        let item = |entry| Item {
            kind: None,
            id: None,
            entry,
        };
        let group = [
            item(Ok(Entry::Seed(brand))),
            setting_of("l"),
            item(Ok(Entry::Record(incoming))),
        ];
        let places: Vec<_> = in_writing_order(&group).iter().map(|(place, _)| *place).collect();
        assert_eq!(places, [2, 0, 1]);
    }

    #[test]
    fn a_group_is_bounded_in_number_and_size() {
        let mut intake = Intake::default();
        let groups = (0..1_000).filter_map(|number| intake.take(item(RecordKind::Chart, &number.to_string()), 1));
        assert_eq!(groups.map(|group| group.len()).collect::<Vec<_>>(), [MAX_GROUP]);
        intake.rest();
        intake.take(item(RecordKind::Chart, "large"), MAX_GROUP_BYTES);
        assert_eq!(ids(intake.take(item(RecordKind::Chart, "next"), 1)), ["large"]);
    }

    #[test]
    fn refusals_are_named_up_to_a_bound_and_all_counted() {
        let mut tally = Tally {
            first: 1,
            ..Tally::default()
        };
        tally.count(item(RecordKind::Chart, "c"), Ok(Change::Added));
        for _ in 0..MAX_REFUSALS + 5 {
            let refused = item(RecordKind::Chart, "");
            let outcome = refused.entry.clone().map(|_| Change::Added);
            tally.count(refused, outcome);
        }
        assert_eq!((tally.refusals.len(), tally.refused), (MAX_REFUSALS, 1_005));
        assert_eq!(tally.refusals.first().map(|(index, ..)| *index), Some(2));
        assert_eq!((tally.nameless, tally.records()), (Some(2), 1_006));
    }
}
