//! The closed sets of words, and versions.

use carepost_proto::{common::v1::EligibilityReason, eligibility::v1 as proto};
use chrono::{DateTime, Utc};
use prost_types::Timestamp;

use crate::domain::{
    decision::Reason,
    directory::{AccountStatus, Audience, ConnectionStatus, RecordKind, Relationship, StaffRole},
    version::{Change, StoredVersion},
};

macro_rules! both_ways {
    ($from:ident, $to:ident: $domain:ident = $proto:ident { $($one:ident = $other:ident,)+ }) => {
        /// None for a value that is not given or not known.
        pub(in crate::rpc) fn $from(number: i32) -> Option<$domain> {
            match proto::$proto::try_from(number) {
                $(Ok(proto::$proto::$other) => Some($domain::$one),)+
                _ => None,
            }
        }

        pub(super) fn $to(word: $domain) -> i32 {
            match word {
                $($domain::$one => proto::$proto::$other as i32,)+
            }
        }
    };
}

both_ways!(role, from_role: StaffRole = StaffRole {
    AvailableForPortalMessages = AvailableForPortalMessages,
    SuperAdmin = SuperAdmin,
    ManagePortalSettings = ManagePortalSettings,
});
both_ways!(account_status, from_account_status: AccountStatus = AccountStatus {
    NotInvited = NotInvited,
    Invited = Invited,
    Accepted = Accepted,
    Active = Active,
    Disabled = Disabled,
});
both_ways!(relationship, from_relationship: Relationship = Relationship {
    Patient = Self_,
    Guardian = Guardian,
    Guarantor = Guarantor,
});
both_ways!(connection_status, from_connection_status: ConnectionStatus = ConnectionStatus {
    Pending = Pending,
    Confirmed = Confirmed,
    Revoked = Revoked,
});

both_ways!(audience, from_audience: Audience = Audience {
    CareTeamOnly = CareTeamOnly,
    SelectedUsers = SelectedUsers,
});

pub(super) fn from_kind(kind: RecordKind) -> i32 {
    let kind = match kind {
        RecordKind::Organization => proto::RecordKind::Organization,
        RecordKind::Location => proto::RecordKind::Location,
        RecordKind::Staff => proto::RecordKind::Staff,
        RecordKind::Chart => proto::RecordKind::Chart,
        RecordKind::PortalUser => proto::RecordKind::PortalUser,
        RecordKind::MessagingSettings => proto::RecordKind::MessagingSettings,
        RecordKind::Brand => proto::RecordKind::Brand,
    };
    kind as i32
}

pub(super) fn from_reason(reason: Reason) -> i32 {
    let reason = match reason {
        Reason::UnknownChart => EligibilityReason::UnknownChart,
        Reason::UnknownStaff => EligibilityReason::UnknownStaff,
        Reason::UnknownPortalUser => EligibilityReason::UnknownPortalUser,
        Reason::MessagingDisabled => EligibilityReason::MessagingDisabled,
        Reason::StaffInactive => EligibilityReason::StaffInactive,
        Reason::StaffLacksRole => EligibilityReason::StaffLacksRole,
        Reason::StaffNoLocationAccess => EligibilityReason::StaffNoLocationAccess,
        Reason::StaffBarredFromChart => EligibilityReason::StaffBarredFromChart,
        Reason::StaffNotOnCareTeam => EligibilityReason::StaffNotOnCareTeam,
        Reason::PortalAccountNotActive => EligibilityReason::PortalAccountNotActive,
        Reason::PortalUserNotConnected => EligibilityReason::PortalUserNotConnected,
        Reason::RecipientInactive => EligibilityReason::RecipientInactive,
        Reason::RecipientBarredFromChart => EligibilityReason::RecipientBarredFromChart,
        Reason::NoActiveRecipient => EligibilityReason::NoActiveRecipient,
    };
    reason as i32
}

/// A time.
pub(in crate::rpc) fn timestamp(time: DateTime<Utc>) -> Timestamp {
    Timestamp {
        seconds: time.timestamp(),
        nanos: i32::try_from(time.timestamp_subsec_nanos()).unwrap_or_default(),
    }
}

/// What a write did.
pub(in crate::rpc) fn outcome(change: Change) -> i32 {
    let outcome = match change {
        Change::Added => proto::WriteOutcome::Added,
        Change::Changed => proto::WriteOutcome::Changed,
        Change::Unchanged => proto::WriteOutcome::Unchanged,
    };
    outcome as i32
}

/// A stored version.
pub(in crate::rpc) fn version(version: StoredVersion) -> proto::RecordVersion {
    proto::RecordVersion {
        emr_version: version.emr,
        import_counter: version.imports,
    }
}
