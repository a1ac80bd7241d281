//! The records. Their lists are sets: the order in which the EMR sends them means nothing.

use std::collections::{BTreeMap, BTreeSet};

use carepost_identity::{ChartId, LocationId, OrganizationId, PortalUserId, StaffId};
use chrono::{DateTime, Utc};

use super::{
    AccountStatus, ConnectionStatus, Country, Digest, Email, Locale, Name, PatientId, RecordKind, Relationship,
    StaffRole, WebUrl,
};
use crate::domain::version::StoredVersion;

/// The company: the tenant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organization {
    /// The EMR's id.
    pub id: OrganizationId,
    /// The name.
    pub name: Name,
    /// Where it is.
    pub country: Country,
    /// Where the portal's inbox is, behind login.
    pub portal_url: WebUrl,
    /// Its language, if known.
    pub locale: Option<Locale>,
}

/// A site of the organization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The EMR's id.
    pub id: LocationId,
    /// The name.
    pub name: Name,
    /// Where it is; none: the organization's.
    pub country: Option<Country>,
}

/// An EMR user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staff {
    /// The EMR's id.
    pub id: StaffId,
    /// The name.
    pub name: Name,
    /// Where they get email, if anywhere.
    pub email: Option<Email>,
    /// Whether the account is active.
    pub active: bool,
    /// What they may do.
    pub roles: BTreeSet<StaffRole>,
    /// Whether they reach every location.
    pub all_locations: bool,
    /// The locations that they reach otherwise.
    pub locations: BTreeSet<LocationId>,
}

/// One episode of care of one patient at one location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chart {
    /// The EMR's id.
    pub id: ChartId,
    /// The patient.
    pub patient_id: PatientId,
    /// The patient's name.
    pub patient_name: Name,
    /// Where it is.
    pub location: LocationId,
    /// The care team.
    pub care_team: BTreeSet<StaffId>,
    /// Who is barred from it.
    pub barred: BTreeSet<StaffId>,
    /// Where the EMR shows it, if it says.
    pub url: Option<WebUrl>,
}

/// A login of a patient or contact. An active one has an email address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalUser {
    /// The EMR's id.
    pub id: PortalUserId,
    /// The name.
    pub name: Name,
    /// Where they get email.
    pub email: Option<Email>,
    /// The state of the account.
    pub status: AccountStatus,
    /// Their connections, one for each chart.
    pub connections: BTreeMap<ChartId, Connection>,
    /// The language that they read; none: the organization's.
    pub locale: Option<Locale>,
}

/// A connection of a portal user to one chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Who they are to the patient.
    pub relationship: Relationship,
    /// Whether it counts.
    pub status: ConnectionStatus,
}

/// Any record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// The organization.
    Organization(Organization),
    /// A location.
    Location(Location),
    /// A member of staff.
    Staff(Staff),
    /// A chart.
    Chart(Chart),
    /// A portal user.
    PortalUser(PortalUser),
}

impl Record {
    /// What kind it is.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Organization(_) => RecordKind::Organization,
            Self::Location(_) => RecordKind::Location,
            Self::Staff(_) => RecordKind::Staff,
            Self::Chart(_) => RecordKind::Chart,
            Self::PortalUser(_) => RecordKind::PortalUser,
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        match self {
            Self::Organization(record) => record.id.as_str(),
            Self::Location(record) => record.id.as_str(),
            Self::Staff(record) => record.id.as_str(),
            Self::Chart(record) => record.id.as_str(),
            Self::PortalUser(record) => record.id.as_str(),
        }
    }
}

/// A record as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept<T> {
    /// Its id.
    pub id: String,
    /// What it last said; none for a tombstone of a record that never came.
    pub record: Option<T>,
    /// Its stored version.
    pub version: StoredVersion,
    /// Whether it is deleted.
    pub deleted: bool,
    /// When it was last written or deleted.
    pub updated_at: DateTime<Utc>,
}

/// The EMR's own version number of a record: 1 or more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EmrVersion(i64);

/// No version number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 or more")]
pub struct VersionError;

impl EmrVersion {
    /// Parses a version number.
    ///
    /// # Errors
    /// If it is less than 1.
    pub fn parse(number: i64) -> Result<Self, VersionError> {
        if number >= 1 {
            Ok(Self(number))
        } else {
            Err(VersionError)
        }
    }

    /// The number.
    #[must_use]
    pub fn get(self) -> i64 {
        self.0
    }
}

/// A record on its way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The record.
    pub record: Record,
    /// The EMR's version of it; none in an import without versions.
    pub version: Option<EmrVersion>,
    /// The digest of its content.
    pub digest: Digest,
}

impl Incoming {
    /// A record with its version.
    #[must_use]
    pub fn new(record: Record, version: Option<EmrVersion>) -> Self {
        let digest = Digest::of(&record);
        Self {
            record,
            version,
            digest,
        }
    }
}
