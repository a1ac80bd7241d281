//! Settings of My Messages, and brands.

use carepost_identity::LocationId;

use super::{Audience, Name, Phone, WebUrl};

/// Whether My Messages is on, and how. Enabled without an audience cannot be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Messaging {
    /// Off; an audience may have been chosen all the same.
    Disabled(Option<Audience>),
    /// On, for these.
    Enabled(Audience),
}

/// Enabling needs an audience (S2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is required when messaging is enabled")]
pub struct MessagingError;

impl Messaging {
    /// Parses the two parts of a setting.
    ///
    /// # Errors
    /// If it is enabled without an audience.
    pub fn parse(enabled: bool, audience: Option<Audience>) -> Result<Self, MessagingError> {
        match (enabled, audience) {
            (false, audience) => Ok(Self::Disabled(audience)),
            (true, Some(audience)) => Ok(Self::Enabled(audience)),
            (true, None) => Err(MessagingError),
        }
    }

    /// The audience, if it is on.
    #[must_use]
    pub fn enabled(self) -> Option<Audience> {
        match self {
            Self::Disabled(_) => None,
            Self::Enabled(audience) => Some(audience),
        }
    }

    /// The audience that was chosen, on or off.
    #[must_use]
    pub fn audience(self) -> Option<Audience> {
        match self {
            Self::Disabled(audience) => audience,
            Self::Enabled(audience) => Some(audience),
        }
    }
}

/// Under which name emails go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brand {
    /// Name of the company or of the clinic.
    pub name: Name,
    /// https URL of the logo.
    pub logo_url: Option<WebUrl>,
    /// Phone number as it is to be shown.
    pub phone: Option<Phone>,
    /// Leave the brand out of emails, because the name alone can reveal a diagnosis.
    pub neutral: bool,
}

/// What an import brings along, written only where none was ever set (S3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seed {
    /// The location that it is for; none: the organization itself.
    pub location: Option<LocationId>,
    /// What it is.
    pub content: SeedContent,
}

/// What a seed sets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SeedContent {
    /// Messaging settings.
    Messaging(Messaging),
    /// A brand.
    Brand(Brand),
}
