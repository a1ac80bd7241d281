//! Changes of settings and brands: against which state they are made, and what is kept of them (S4).

use std::fmt::Write as _;

use carepost_identity::{LocationId, OrganizationId};
use chrono::{DateTime, Utc};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{Brand, Messaging, RecordKind};

/// How many bytes of the digest an etag shows.
const ETAG_BYTES: usize = 12;

/// A state of one setting, as administrators get it and bring it back (AIP-154). What was never set has one as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Etag(String);

impl Etag {
    /// The etag of a version: 0 is never set, and every change makes the next one.
    #[must_use]
    pub fn of(organization: &OrganizationId, kind: RecordKind, location: Option<&LocationId>, version: i64) -> Self {
        let location = location.map(|id| id.as_str()).unwrap_or_default();
        let brand: &[u8] = if kind == RecordKind::Brand {
            b"brand"
        } else {
            b"messaging"
        };
        let mut digest = Sha256::new();
        // No id has a line break.
        for part in [brand, organization.as_str().as_bytes(), location.as_bytes()] {
            digest.update(part);
            digest.update(b"\n");
        }
        digest.update(version.to_be_bytes());
        let mut text = String::with_capacity(2 * ETAG_BYTES);
        for byte in digest.finalize().iter().take(ETAG_BYTES) {
            let _ = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// What somebody brings: any text. One that is no etag is that of no state.
    #[must_use]
    pub fn brought(text: String) -> Self {
        Self(text)
    }
}

impl From<Etag> for String {
    fn from(etag: Etag) -> Self {
        etag.0
    }
}

/// What is set at a place, and what therefore holds there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held<T> {
    /// What is set there, if anything is.
    pub set: Option<T>,
    /// What holds there.
    pub effective: T,
    /// The state.
    pub etag: Etag,
}

/// Why settings are not shown or not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingsRefusal {
    /// The member of staff is not active, or has none of the roles.
    NotAdministrator,
    /// There is no such organization.
    NoOrganization,
    /// There is no such location.
    NoLocation,
    /// It was changed after it was read.
    Outdated,
}

/// One change, as it is kept for ever.
#[derive(Clone, Debug)]
pub struct SettingChange {
    /// Its id.
    pub id: Uuid,
    /// When.
    pub changed_at: DateTime<Utc>,
    /// Who: `staff/ID` or `service/NAME`.
    pub changed_by: String,
    /// The service that relayed a person's session.
    pub relayed_by: Option<String>,
    /// Whether an import brought it.
    pub seed: bool,
    /// Where; none: the organization's.
    pub location: Option<LocationId>,
    /// What.
    pub change: Changed,
}

/// What was set before a change and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "there are never more than a page of them")]
pub enum Changed {
    /// Messaging settings.
    Messaging {
        /// What was set, if anything was.
        before: Option<Messaging>,
        /// What was set then; none: the location follows the organization again.
        after: Option<Messaging>,
    },
    /// A brand.
    Brand {
        /// What was set, if anything was.
        before: Option<Brand>,
        /// What was set then; none: the location follows the organization again.
        after: Option<Brand>,
    },
}

/// Which changes to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangesOf {
    /// All.
    Everything,
    /// The organization's general settings and its own brand.
    General,
    /// Those of a location.
    Location(LocationId),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_of_every_setting_has_an_etag_of_its_own() {
        let (one, other) = (OrganizationId::parse("a").unwrap(), OrganizationId::parse("b").unwrap());
        let location = LocationId::parse("l").unwrap();
        let mut etags = Vec::new();
        for organization in [&one, &other] {
            for kind in [RecordKind::MessagingSettings, RecordKind::Brand] {
                for location in [None, Some(&location)] {
                    etags.extend((0..3).map(|version| String::from(Etag::of(organization, kind, location, version))));
                }
            }
        }
        etags.sort();
        etags.dedup();
        assert_eq!(etags.len(), 24);
        assert!(etags.iter().all(|etag| etag.len() == 24));
    }
}
