//! Versions (D1): what becomes of a record that comes in, by what is stored.

use std::cmp::Ordering;

use super::directory::{Digest, EmrVersion, RecordKind};

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
    /// Whether it is deleted: what is stored is a tombstone.
    pub deleted: bool,
}

impl Stored {
    /// Whether a reconciliation took the record away: it was not in a file that was to be the whole directory. A deletion of the
    /// EMR's has a version of its own, which no import has changed since.
    fn went_by_import(&self) -> bool {
        self.deleted && self.version.imports > 0
    }
}

/// A record that was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What that changed.
    pub change: Change,
    /// The version that is stored then.
    pub version: StoredVersion,
    /// Whether a deleted record came back by it.
    pub restored: bool,
}

/// What a write changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was neither such a record nor a tombstone.
    Added,
    /// The record, or its tombstone, was replaced.
    Changed,
    /// The record, or its tombstone, was stored like this already.
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

/// Why a record is not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeleteRefusal {
    /// Its version does not allow it, or the organization does not exist.
    #[error(transparent)]
    NotAdmitted(#[from] WriteRefusal),
    /// Records of these kinds still refer to it.
    #[error("stored records still refer to it")]
    StillReferred(Vec<RecordKind>),
}

/// Whether a record is let in, by version and content alone. A tombstone is content like no record's.
///
/// # Errors
/// If the stored version is newer, or the same with other content.
pub fn admit(stored: Option<Stored>, version: Option<EmrVersion>, digest: Digest) -> Result<Written, WriteRefusal> {
    let mut written = admit_by_version(stored, version, digest)?;
    written.restored = written.change == Change::Changed && stored.is_some_and(|stored| stored.deleted);
    Ok(written)
}

fn admit_by_version(
    stored: Option<Stored>,
    version: Option<EmrVersion>,
    digest: Digest,
) -> Result<Written, WriteRefusal> {
    let Some(stored) = stored else {
        return written(Change::Added, fresh(version));
    };
    let same = stored.digest == digest && !stored.deleted;
    let once_more = StoredVersion {
        imports: stored.version.imports + 1,
        ..stored.version
    };
    let Some(number) = version else {
        return if same {
            written(Change::Unchanged, stored.version)
        } else {
            written(Change::Changed, once_more)
        };
    };
    match number.get().cmp(&stored.version.emr) {
        Ordering::Greater => written(Change::Changed, fresh(version)),
        Ordering::Less => Err(WriteRefusal::Outdated(stored.version)),
        Ordering::Equal if same => written(Change::Unchanged, stored.version),
        // A file lacked the record by mistake: the very same state of it comes back.
        Ordering::Equal if stored.went_by_import() && stored.digest == digest => written(Change::Changed, once_more),
        Ordering::Equal => Err(WriteRefusal::Conflict(stored.version)),
    }
}

/// Whether a deletion is let in, by versions alone.
///
/// # Errors
/// If the stored version is newer, or that of a record which is not deleted.
pub fn admit_deletion(stored: Option<Stored>, version: EmrVersion) -> Result<Written, WriteRefusal> {
    let Some(stored) = stored else {
        return written(Change::Added, fresh(Some(version)));
    };
    match version.get().cmp(&stored.version.emr) {
        Ordering::Greater => written(Change::Changed, fresh(Some(version))),
        Ordering::Less => Err(WriteRefusal::Outdated(stored.version)),
        Ordering::Equal if stored.deleted => written(Change::Unchanged, stored.version),
        // An import without versions brought it back since: the EMR's own deletion holds when it comes again.
        Ordering::Equal if stored.version.imports > 0 => written(Change::Changed, stored.version),
        Ordering::Equal => Err(WriteRefusal::Conflict(stored.version)),
    }
}

fn written(change: Change, version: StoredVersion) -> Result<Written, WriteRefusal> {
    Ok(Written {
        change,
        version,
        restored: false,
    })
}

fn fresh(version: Option<EmrVersion>) -> StoredVersion {
    StoredVersion {
        emr: version.map_or(0, EmrVersion::get),
        imports: 0,
    }
}

#[cfg(test)]
mod tests;
