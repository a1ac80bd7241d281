//! The reasons, and what would mend them.

/// Why somebody may not write now. In the order in which they are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// There is no such chart.
    UnknownChart,
    /// There is no such member of staff.
    UnknownStaff,
    /// There is no such portal user.
    UnknownPortalUser,
    /// Messaging is not enabled.
    MessagingDisabled,
    /// The staff account is not active.
    StaffInactive,
    /// The member of staff lacks the role `available_for_portal_messages`.
    StaffLacksRole,
    /// The member of staff does not reach the chart's location.
    StaffNoLocationAccess,
    /// The member of staff is barred from the chart.
    StaffBarredFromChart,
    /// The member of staff is not on the chart's care team.
    StaffNotOnCareTeam,
    /// The portal account is not active.
    PortalAccountNotActive,
    /// The portal user has no confirmed connection to the chart.
    PortalUserNotConnected,
    /// The recipient's staff account is not active.
    RecipientInactive,
    /// The recipient is barred from the chart.
    RecipientBarredFromChart,
    /// None of the others has an active account.
    NoActiveRecipient,
}

impl Reason {
    /// What would mend it, in English.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        match self {
            Self::UnknownChart => "Choose a chart of this organization.",
            Self::UnknownStaff => "Choose a staff member of this organization.",
            Self::UnknownPortalUser => "Choose a portal user of this organization.",
            Self::MessagingDisabled => "An administrator can enable My Messages for the location or the organization.",
            Self::StaffInactive => "An administrator can activate the staff member's account.",
            Self::StaffLacksRole => {
                "An administrator can give the staff member the role available_for_portal_messages."
            }
            Self::StaffNoLocationAccess => "An administrator can give the staff member access to the chart's location.",
            Self::StaffBarredFromChart => "Choose a staff member who is not barred from the chart.",
            Self::StaffNotOnCareTeam => "The staff member can be added to the chart's care team.",
            Self::PortalAccountNotActive => {
                "The portal user has to be invited, to accept the invitation and to create a password."
            }
            Self::PortalUserNotConnected => "The portal user's connection to the chart has to be confirmed.",
            Self::RecipientInactive => "Choose a recipient whose account is active.",
            Self::RecipientBarredFromChart => "Choose a recipient who is not barred from the chart.",
            Self::NoActiveRecipient => "Start a new conversation with staff whose accounts are active.",
        }
    }

    /// What a portal user can do about it who would send. A patient can give nobody a role: where an administrator could mend it,
    /// they are told whom else to turn to, in words that say nothing of how the hospital is organized.
    #[must_use]
    pub fn remedy_for_portal_user(self) -> &'static str {
        match self {
            Self::UnknownChart | Self::PortalUserNotConnected => {
                "Choose one of your charts. If one is missing, please call the clinic."
            }
            Self::MessagingDisabled => "Messages cannot be sent about this chart at present. Please call the clinic.",
            Self::PortalAccountNotActive => {
                "Finish setting up your portal account, or call the clinic if it does not work any more."
            }
            Self::UnknownStaff
            | Self::UnknownPortalUser
            | Self::StaffInactive
            | Self::StaffLacksRole
            | Self::StaffNoLocationAccess
            | Self::StaffBarredFromChart
            | Self::StaffNotOnCareTeam
            | Self::RecipientInactive
            | Self::RecipientBarredFromChart
            | Self::NoActiveRecipient => "Choose somebody else from the list of recipients, or call the clinic.",
        }
    }
}
