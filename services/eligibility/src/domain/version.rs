//! Versions (D1): what becomes of a record that comes in, by what is stored.

use std::cmp::Ordering;

use super::directory::{Digest, EmrVersion};

/// The version of a stored record: which state of the EMR's it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredVersion {
    /// The EMR's number; 0 if it only ever came from imports without versions.
    pub emr: i64,
    /// How often an import without versions has changed it since.
    pub imports: i64,
}

/// What is stored of a record, as far as versions go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its version.
    pub version: StoredVersion,
    /// The digest of its content.
    pub digest: Digest,
}

/// A record that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What that changed.
    pub change: Change,
    /// The version that is stored then.
    pub version: StoredVersion,
}

/// What a write changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was no such record.
    Added,
    /// The record was replaced.
    Changed,
    /// The record was stored like this already.
    Unchanged,
}

/// Why a record is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteRefusal {
    /// A newer version is stored.
    #[error("a newer version of the record is stored")]
    Outdated(StoredVersion),
    /// The same version is stored with other content.
    #[error("the same version of the record is stored with other content")]
    Conflict(StoredVersion),
    /// What it has to refer to does not exist.
    #[error("the record refers to {0} that does not exist")]
    ReferenceMissing(Reference),
}

/// What a record has to refer to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reference {
    /// Its organization.
    #[error("an organization")]
    Organization,
    /// Its location.
    #[error("a location")]
    Location,
}

/// Decides by version and content alone.
///
/// # Errors
/// If the stored version is newer, or the same with other content.
pub fn admit(stored: Option<Stored>, version: Option<EmrVersion>, digest: Digest) -> Result<Written, WriteRefusal> {
    let written = |change, version| Ok(Written { change, version });
    let fresh = StoredVersion {
        emr: version.map_or(0, EmrVersion::get),
        imports: 0,
    };
    let Some(stored) = stored else {
        return written(Change::Added, fresh);
    };
    let same = stored.digest == digest;
    let Some(version) = version else {
        let imports = stored.version.imports + i64::from(!same);
        let change = if same { Change::Unchanged } else { Change::Changed };
        return written(
            change,
            StoredVersion {
                imports,
                ..stored.version
            },
        );
    };
    match version.get().cmp(&stored.version.emr) {
        Ordering::Greater => written(Change::Changed, fresh),
        Ordering::Less => Err(WriteRefusal::Outdated(stored.version)),
        Ordering::Equal if same => written(Change::Unchanged, stored.version),
        Ordering::Equal => Err(WriteRefusal::Conflict(stored.version)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAME: u8 = 1;
    const OTHER: u8 = 2;

    fn decide(stored: Option<(i64, i64)>, incoming: i64, content: u8) -> Result<Written, WriteRefusal> {
        let stored = stored.map(|(emr, imports)| Stored {
            version: StoredVersion { emr, imports },
            digest: Digest::stored(&[SAME; 32]),
        });
        admit(stored, EmrVersion::parse(incoming).ok(), Digest::stored(&[content; 32]))
    }

    fn written(change: Change, emr: i64, imports: i64) -> Result<Written, WriteRefusal> {
        let version = StoredVersion { emr, imports };
        Ok(Written { change, version })
    }

    #[test]
    fn a_new_record_is_added() {
        assert_eq!(decide(None, 5, SAME), written(Change::Added, 5, 0));
        assert_eq!(decide(None, 0, SAME), written(Change::Added, 0, 0));
    }

    #[test]
    fn an_older_version_never_overwrites_a_newer_one() {
        let stored = StoredVersion { emr: 5, imports: 2 };
        for content in [SAME, OTHER] {
            assert_eq!(decide(Some((5, 2)), 4, content), Err(WriteRefusal::Outdated(stored)));
        }
    }

    #[test]
    fn a_higher_version_always_wins_and_forgets_the_imports() {
        for content in [SAME, OTHER] {
            assert_eq!(decide(Some((5, 2)), 6, content), written(Change::Changed, 6, 0));
            assert_eq!(decide(Some((0, 9)), 1, content), written(Change::Changed, 1, 0));
        }
    }

    #[test]
    fn the_same_version_is_the_same_record_or_a_conflict() {
        let stored = StoredVersion { emr: 5, imports: 2 };
        assert_eq!(decide(Some((5, 2)), 5, SAME), written(Change::Unchanged, 5, 2));
        assert_eq!(decide(Some((5, 2)), 5, OTHER), Err(WriteRefusal::Conflict(stored)));
    }

    #[test]
    fn an_import_without_versions_counts_only_what_differs() {
        assert_eq!(decide(Some((5, 2)), 0, SAME), written(Change::Unchanged, 5, 2));
        assert_eq!(decide(Some((5, 2)), 0, OTHER), written(Change::Changed, 5, 3));
    }
}
