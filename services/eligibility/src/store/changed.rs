//! What a transaction changed, told to the rest of the suite: `DirectoryChanged` events in an outbox, written by the
//! transaction itself. They hold ids alone.

use std::collections::BTreeSet;

use carepost_broker::{event::Event, outbox, trace::TraceHeaders};
use carepost_identity::OrganizationId;
use carepost_proto::event::v1::DirectoryChanged;
use carepost_runtime::{Ids, database::Writing};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use super::{Store, StoreError, Write, trail};
use crate::domain::directory::{Entry, RecordKind};

/// The most records of one event.
const MAX_RECORDS: usize = 1_000;

/// The records and settings that a transaction changed. A record that was deleted counts like one that was written; one that
/// came out as it was does not count.
#[derive(Debug, Default)]
pub(super) struct Changes {
    told: BTreeSet<(Kind, String)>,
    /// The same, as the audit trail names it.
    kept: BTreeSet<(RecordKind, String)>,
}

/// What an event names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Organization,
    Location,
    Staff,
    PortalUser,
    Chart,
}

impl Changes {
    /// Notes a record by its id; of settings and brands, the location's id, which is empty for the organization's.
    pub fn add(&mut self, kind: RecordKind, id: &str) {
        self.kept.insert((kind, id.to_owned()));
        let kind = match kind {
            RecordKind::Organization => Kind::Organization,
            RecordKind::MessagingSettings | RecordKind::Brand if id.is_empty() => Kind::Organization,
            RecordKind::Location | RecordKind::MessagingSettings | RecordKind::Brand => Kind::Location,
            RecordKind::Staff => Kind::Staff,
            RecordKind::Chart => Kind::Chart,
            RecordKind::PortalUser => Kind::PortalUser,
        };
        self.told.insert((kind, id.to_owned()));
    }

    /// Notes what an entry wrote.
    pub fn add_entry(&mut self, entry: &Entry) {
        let id = match entry {
            Entry::Record(incoming) => incoming.record.id(),
            Entry::Seed(seed) => seed.location.as_ref().map(|id| id.as_str()).unwrap_or_default(),
        };
        self.add(entry.kind(), id);
    }

    /// The events: one, or several of more than 1,000 records; none of nothing.
    fn events(self, organization: &OrganizationId, now: DateTime<Utc>) -> Vec<Event> {
        let records: Vec<_> = self.told.into_iter().collect();
        let parts = records.chunks(MAX_RECORDS);
        parts.map(|part| event(organization, now, part)).collect()
    }
}

fn event(organization: &OrganizationId, now: DateTime<Utc>, records: &[(Kind, String)]) -> Event {
    let id = Ids.next(now);
    let mut payload = DirectoryChanged {
        event_id: id.to_string(),
        organization_id: organization.to_string(),
        change_time: Some(timestamp(now)),
        ..DirectoryChanged::default()
    };
    name(&mut payload, records);
    Event::directory_changed(id, organization.clone(), &payload, TraceHeaders::current(), now)
}

impl Store {
    /// Commits a transaction together with the events and the audit records of what it changed, and wakes the relay. Every transaction that writes to
    /// the directory or the settings ends here.
    pub(super) async fn commit(&self, tx: Writing, write: Write<'_>, changes: Changes) -> Result<(), StoreError> {
        let named = changes.kept.iter();
        let named: Vec<_> = named
            .filter_map(|(kind, id)| trail::subject(write, *kind, id))
            .collect();
        trail::record(&tx, write, &named).await?;
        for event in changes.events(write.organization, write.now) {
            outbox::insert(&*tx, &event).await?;
        }
        tx.commit().await?;
        if !named.is_empty() {
            trail::told(write);
        }
        self.outbox.notify_one();
        Ok(())
    }
}

fn name(event: &mut DirectoryChanged, records: &[(Kind, String)]) {
    for (kind, id) in records {
        let ids = match kind {
            Kind::Organization => {
                event.organization_changed = true;
                continue;
            }
            Kind::Location => &mut event.location_ids,
            Kind::Staff => &mut event.staff_ids,
            Kind::PortalUser => &mut event.portal_user_ids,
            Kind::Chart => &mut event.chart_ids,
        };
        ids.push(id.clone());
    }
}

fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use prost::Message;

    use super::*;

    #[test]
    fn records_are_named_once_by_their_kind() {
        let mut changes = Changes::default();
        for _ in 0..2 {
            changes.add(RecordKind::Organization, "org");
            changes.add(RecordKind::Brand, "");
            changes.add(RecordKind::MessagingSettings, "l1");
            changes.add(RecordKind::Location, "l1");
            changes.add(RecordKind::Staff, "s1");
            changes.add(RecordKind::Chart, "s1");
            changes.add(RecordKind::PortalUser, "u1");
        }
        let mut event = DirectoryChanged::default();
        name(&mut event, &changes.told.into_iter().collect::<Vec<_>>());
        let expected = DirectoryChanged {
            organization_changed: true,
            location_ids: vec!["l1".to_owned()],
            staff_ids: vec!["s1".to_owned()],
            chart_ids: vec!["s1".to_owned()],
            portal_user_ids: vec!["u1".to_owned()],
            ..DirectoryChanged::default()
        };
        assert_eq!(event, expected);
    }
    #[test]
    fn many_records_are_told_in_parts() {
        let organization = OrganizationId::parse("org").unwrap();
        let mut changes = Changes::default();
        for number in 0..2_500 {
            changes.add(RecordKind::Chart, &number.to_string());
        }
        let events = changes.events(&organization, DateTime::UNIX_EPOCH);
        let told: Vec<_> = events
            .iter()
            .map(|event| DirectoryChanged::decode(event.payload.as_slice()).unwrap())
            .collect();
        let sizes: Vec<_> = told.iter().map(|event| event.chart_ids.len()).collect();
        assert_eq!(sizes, [1_000, 1_000, 500]);
        let ids: BTreeSet<_> = told.iter().flat_map(|event| &event.chart_ids).collect();
        assert_eq!(ids.len(), 2_500);
        assert!(
            events
                .iter()
                .zip(&told)
                .all(|(event, told)| event.id.to_string() == told.event_id)
        );
        assert!(
            Changes::default()
                .events(&organization, DateTime::UNIX_EPOCH)
                .is_empty()
        );
    }
}
