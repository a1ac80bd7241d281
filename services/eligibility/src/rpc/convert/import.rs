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
    domain::directory::{EmrVersion, Entry, Incoming, Item, Record, RecordKind, Refusal, RefusalReason},
    rpc::status,
};

/// The most characters of a refusal's message: a thousand of them have to fit into an answer.
const MAX_MESSAGE: usize = 500;

/// One request of an import: what it says, or why it is refused.
pub(in crate::rpc) fn item(organization: &OrganizationId, request: proto::ImportDirectoryRequest) -> Item {
    let mut violations = Violations::default();
    let (kind, id) = request.record.as_ref().map_or((None, ""), |sent| {
        let (kind, id) = name(sent);
        (Some(kind), id)
    });
    // An id is one for every kind of record or for none.
    let id = if StaffId::parse(id).is_ok() {
        id.to_owned()
    } else {
        String::new()
    };
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

fn name(sent: &Sent) -> (RecordKind, &str) {
    match sent {
        Sent::Organization(record) => (RecordKind::Organization, &record.id),
        Sent::Location(record) => (RecordKind::Location, &record.id),
        Sent::Staff(record) => (RecordKind::Staff, &record.id),
        Sent::Chart(record) => (RecordKind::Chart, &record.id),
        Sent::PortalUser(record) => (RecordKind::PortalUser, &record.id),
        Sent::MessagingSettingsSeed(seed) => (RecordKind::MessagingSettings, seed.location_id()),
        Sent::BrandSeed(seed) => (RecordKind::Brand, seed.location_id()),
    }
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
