//! The items of an import, and its refusals.

use carepost_identity::{OrganizationId, StaffId};
use carepost_proto::eligibility::v1 as proto;
use carepost_rpc::Violations;
use proto::import_directory_request::Record as Sent;

use super::{
    records,
    settings::{brand_seed, messaging_seed},
    words::from_kind,
};
use crate::{
    domain::directory::{
        EmrVersion, Entry, ImportOptions, Incoming, Item, Record, RecordKind, Refusal, RefusalReason, Removal,
    },
    rpc::status,
};

/// The most characters of a refusal's message: a thousand of them have to fit into an answer.
const MAX_MESSAGE: usize = 500;

/// One request of an import: what it says, or why it is refused.
pub(in crate::rpc) fn item(organization: &OrganizationId, request: proto::ImportDirectoryRequest) -> Item {
    let mut violations = Violations::default();
    let (kind, id) = request.record.as_ref().and_then(name).unzip();
    let id = id.flatten();
    let entry = match request.record {
        Some(sent) => entry(&mut violations, organization, sent, request.version),
        None => {
            violations.add("record", "is required");
            None
        }
    };
    let entry = entry
        .filter(|_| violations.is_empty())
        .ok_or_else(|| refusal(violations));
    Item { kind, id, entry }
}

/// The kind and the readable id of a record; none of what stands before and after the records.
fn name(sent: &Sent) -> Option<(RecordKind, Option<String>)> {
    Some(match sent {
        Sent::Organization(record) => (RecordKind::Organization, readable(&record.id)),
        Sent::Location(record) => (RecordKind::Location, readable(&record.id)),
        Sent::Staff(record) => (RecordKind::Staff, readable(&record.id)),
        Sent::Chart(record) => (RecordKind::Chart, readable(&record.id)),
        Sent::PortalUser(record) => (RecordKind::PortalUser, readable(&record.id)),
        Sent::MessagingSettingsSeed(seed) => (RecordKind::MessagingSettings, place(seed.location_id.as_deref())),
        Sent::BrandSeed(seed) => (RecordKind::Brand, place(seed.location_id.as_deref())),
        Sent::Options(_) | Sent::Trailer(_) => return None,
    })
}

/// An id is one for every kind of record or for none.
fn readable(id: &str) -> Option<String> {
    StaffId::parse(id).is_ok().then(|| id.to_owned())
}

/// The place of a seed. One that names a location which cannot be read is not the organization's.
fn place(location: Option<&str>) -> Option<String> {
    location.map_or_else(|| Some(String::new()), readable)
}

fn entry(violations: &mut Violations, organization: &OrganizationId, sent: Sent, version: i64) -> Option<Entry> {
    let record = match sent {
        Sent::Organization(record) => {
            records::organization(violations, organization, Some(record)).map(Record::Organization)
        }
        Sent::Location(record) => records::location(violations, Some(record)).map(Record::Location),
        Sent::Staff(record) => records::staff(violations, Some(record)).map(Record::Staff),
        Sent::Chart(record) => records::chart(violations, Some(record)).map(Record::Chart),
        Sent::PortalUser(record) => records::portal_user(violations, Some(record)).map(Record::PortalUser),
        Sent::MessagingSettingsSeed(seed) => {
            seed_has_no_version(violations, version);
            return messaging_seed(violations, seed).map(Entry::Seed);
        }
        Sent::BrandSeed(seed) => {
            seed_has_no_version(violations, version);
            return brand_seed(violations, seed).map(Entry::Seed);
        }
        Sent::Options(_) | Sent::Trailer(_) => {
            violations.add("record", "is required");
            return None;
        }
    };
    let version = match version {
        0 => Some(None),
        number => violations.take("version", EmrVersion::parse(number)).map(Some),
    };
    Some(Entry::Record(Incoming::new(record?, version?)))
}

fn seed_has_no_version(violations: &mut Violations, version: i64) {
    if version != 0 {
        violations.add("version", "must be 0: a seed has none");
    }
}

/// How to import.
pub(in crate::rpc) fn import_options(options: proto::ImportOptions) -> ImportOptions {
    ImportOptions {
        reconcile: options.reconcile,
        validate_only: options.validate_only,
        allow_large_removal: options.allow_large_removal,
    }
}

fn refusal(violations: Violations) -> Refusal {
    let mut message = String::new();
    for violation in violations.into_inner() {
        let fault = format!("{}: {}", violation.field, violation.description);
        if message.len() + fault.len() > MAX_MESSAGE {
            message.push_str("; and more");
            break;
        }
        message.push_str(if message.is_empty() { "" } else { "; " });
        message.push_str(&fault);
    }
    Refusal {
        reason: RefusalReason::Invalid,
        message,
    }
}

/// A refusal on the wire.
pub(in crate::rpc) fn import_refusal(
    (index, kind, id, refusal): (i64, Option<RecordKind>, String, Refusal),
) -> proto::ImportRefusal {
    proto::ImportRefusal {
        index,
        kind: kind.map(from_kind).unwrap_or_default(),
        id,
        reason: status::reason(refusal.reason) as i32,
        message: refusal.message,
    }
}

/// What goes of a kind, on the wire.
pub(in crate::rpc) fn removal((kind, removal): (RecordKind, Removal)) -> proto::Removal {
    proto::Removal {
        kind: from_kind(kind),
        stored: removal.stored,
        removed: removal.removed,
        kept: removal.kept,
    }
}

/// A record that goes, on the wire.
pub(in crate::rpc) fn removed_record((kind, id): (RecordKind, String)) -> proto::RemovedRecord {
    proto::RemovedRecord {
        kind: from_kind(kind),
        id,
    }
}

/// A record that comes back, on the wire.
pub(in crate::rpc) fn restored_record((kind, id): (RecordKind, String)) -> proto::RestoredRecord {
    proto::RestoredRecord {
        kind: from_kind(kind),
        id,
    }
}
