//! The hashes of a chain.
//!
//! The hash of a record is SHA-256 of the hash before it and the record's fields; that of a seal, of the last record's hash and the
//! seal's fields; the first record of the next seal follows from that. Each field is preceded by its length, so that no two records
//! have the same encoding.

use std::{fmt, str::FromStr};

use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};

use crate::record::Record;

/// A hash of the chain, shown in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hash(pub(crate) [u8; 32]);

/// The text is no hash: 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 64 hexadecimal digits")]
pub struct NoHash;

impl Hash {
    /// What a chain begins with.
    pub(crate) const GENESIS: Self = Self([0; 32]);

    pub(crate) fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Hash({self})")
    }
}

impl FromStr for Hash {
    type Err = NoHash;

    fn from_str(text: &str) -> Result<Self, NoHash> {
        if text.len() != 64 || !text.is_ascii() {
            return Err(NoHash);
        }
        let mut bytes = [0; 32];
        for (byte, place) in bytes.iter_mut().zip((0..64).step_by(2)) {
            let digits = text.get(place..place + 2).filter(|digits| !digits.starts_with('+'));
            *byte = u8::from_str_radix(digits.ok_or(NoHash)?, 16).map_err(|_| NoHash)?;
        }
        Ok(Self(bytes))
    }
}

struct Fields(Sha256);

impl Fields {
    fn after(previous: Hash, of: &str) -> Self {
        let mut fields = Self(Sha256::new());
        fields.add(of.as_bytes());
        fields.add(&previous.0);
        fields
    }

    fn add(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn end(self) -> Hash {
        Hash(self.0.finalize().into())
    }
}

/// The hash of a record after another one.
pub(crate) fn of_record(previous: Hash, record: &Record) -> Hash {
    let Record {
        organization,
        recorded_at,
        id,
        actor,
        via,
        origin,
        action,
        subjects,
        outcome,
        request_id,
        trace_id,
        count,
    } = record;
    let mut fields = Fields::after(previous, "carepost audit record 1");
    fields.add(organization.as_bytes());
    fields.add(&recorded_at.timestamp_micros().to_be_bytes());
    fields.add(id.as_bytes());
    for text in [actor, via, origin, action, subjects, outcome] {
        fields.add(text.as_bytes());
    }
    fields.add(request_id.as_bytes());
    fields.add(trace_id.as_bytes());
    fields.add(&count.to_be_bytes());
    fields.end()
}

/// A seal: the end of a part of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seal {
    pub organization: String,
    pub number: i64,
    pub sealed_at: DateTime<Utc>,
    pub records: i32,
    pub head: Hash,
}

/// The hash of a seal after its last record.
pub(crate) fn of_seal(last: Hash, organization: &str, number: i64, sealed_at: DateTime<Utc>, records: i32) -> Hash {
    let mut fields = Fields::after(last, "carepost audit seal 1");
    fields.add(organization.as_bytes());
    fields.add(&number.to_be_bytes());
    fields.add(&sealed_at.timestamp_micros().to_be_bytes());
    fields.add(&records.to_be_bytes());
    fields.end()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use uuid::Uuid;

    use super::*;

    fn record() -> Record {
        Record {
            organization: "prairie".to_owned(),
            recorded_at: DateTime::UNIX_EPOCH,
            id: Uuid::from_u128(1),
            actor: "staff/1".to_owned(),
            via: "service/emr".to_owned(),
            origin: "10.0.0.1".to_owned(),
            action: "/s/m".to_owned(),
            subjects: "charts/1".to_owned(),
            outcome: "OK".to_owned(),
            request_id: Uuid::from_u128(2),
            trace_id: "ab".to_owned(),
            count: 1,
        }
    }

    #[test]
    fn every_field_counts() {
        let changes: [fn(&mut Record); 14] = [
            |_| {},
            |record| record.organization.push('x'),
            |record| record.recorded_at += TimeDelta::microseconds(1),
            |record| record.id = Uuid::from_u128(3),
            |record| record.actor.push('x'),
            |record| record.via.clear(),
            |record| record.origin.push('1'),
            |record| record.action.push('x'),
            |record| record.subjects.push('x'),
            |record| record.outcome.push('x'),
            |record| record.request_id = Uuid::from_u128(1),
            |record| record.trace_id.clear(),
            |record| record.count = 2,
            // A border between two fields is moved.
            |record| (record.actor, record.via) = ("staff/1service".to_owned(), "/emr".to_owned()),
        ];
        let hashes: Vec<_> = changes
            .iter()
            .map(|change| {
                let mut record = record();
                change(&mut record);
                of_record(Hash::GENESIS, &record).to_string()
            })
            .collect();
        let distinct: std::collections::BTreeSet<_> = hashes.iter().collect();
        assert_eq!(distinct.len(), changes.len());
        let after_another = of_record(of_record(Hash::GENESIS, &record()), &record());
        assert_ne!(after_another.to_string(), hashes[0]);
    }

    #[test]
    fn a_hash_is_read_as_it_is_shown() {
        let hash = of_record(Hash::GENESIS, &record());
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for wrong in ["", "12", &"g".repeat(64), &"+1".repeat(32), &"ü".repeat(32)] {
            assert_eq!(wrong.parse::<Hash>(), Err(NoHash), "{wrong}");
        }
    }

    /// What was sealed by one version is verified by all later ones.
    #[test]
    fn the_encoding_stays() {
        let hash = of_record(Hash::GENESIS, &record());
        let seal = of_seal(hash, "prairie", 1, DateTime::UNIX_EPOCH, 1);
        assert_eq!(
            hash.to_string(),
            "0ab24ad42956f2b5d7ef82c9f3137d50bc889baddd1efe9ef9d182b690b6122e"
        );
        assert_eq!(
            seal.to_string(),
            "a301698cb795f47adfface20911faa20d222995507d37f29bf73da8712349587"
        );
    }
}
