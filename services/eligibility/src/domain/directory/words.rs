//! The closed sets of words in records. Each has one spelling, which is also how it is stored.

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// The word.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The variant of a word, if it is one.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// Who of the staff takes part in portal conversations.
    Audience {
        /// The chart's care team.
        CareTeamOnly = "care_team_only",
        /// Staff with the role `available_for_portal_messages`.
        SelectedUsers = "selected_users",
    }
}
words! {
    /// What a member of staff may do.
    StaffRole {
        /// Takes part in portal messages.
        AvailableForPortalMessages = "available_for_portal_messages",
        /// Administers everything.
        SuperAdmin = "super_admin",
        /// Administers the settings of My Messages.
        ManagePortalSettings = "manage_portal_settings",
    }
}
words! {
    /// The state of a portal account.
    AccountStatus {
        /// Nobody has invited them.
        NotInvited = "not_invited",
        /// Invited, not accepted yet.
        Invited = "invited",
        /// Accepted, but no password created yet.
        Accepted = "accepted",
        /// Ready.
        Active = "active",
        /// Closed.
        Disabled = "disabled",
    }
}
words! {
    /// How a portal user is connected to a chart.
    Relationship {
        /// The patient.
        Patient = "self",
        /// A guardian of the patient.
        Guardian = "guardian",
        /// Who answers for the patient's bills.
        Guarantor = "guarantor",
    }
}
words! {
    /// Whether a connection counts.
    ConnectionStatus {
        /// Asked for, not confirmed: does not count.
        Pending = "pending",
        /// Counts.
        Confirmed = "confirmed",
        /// Taken back: does not count.
        Revoked = "revoked",
    }
}
