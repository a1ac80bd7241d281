//! Settings of My Messages, and brands.

use carepost_identity::LocationId;

use super::{Audience, Locale, Name, Phone, StaffRole, WebUrl};

/// The roles of which a member of staff needs one to see or change settings and brands.
pub const ADMINISTRATORS: [StaffRole; 2] = [StaffRole::SuperAdmin, StaffRole::ManagePortalSettings];

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

    /// What holds at a place: its own setting, else the general one, whole; off if neither was ever set (S1).
    #[must_use]
    pub fn effective(own: Option<Self>, general: Option<Self>) -> Self {
        own.or(general).unwrap_or(Self::Disabled(None))
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
    /// The language of emails to recipients who have none of their own.
    pub locale: Option<Locale>,
    /// Where the portal's inbox is, behind login.
    pub portal_url: Option<WebUrl>,
}

/// What an organization's record gives where brands say nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrandDefaults {
    /// Its name.
    pub name: Name,
    /// Its language.
    pub locale: Option<Locale>,
    /// Where its portal's inbox is.
    pub portal_url: WebUrl,
}

impl Brand {
    /// What holds at a place: its own brand, else the organization's, whole, else one with the organization's name (S3). Where
    /// it has no language or portal of its own, it has the organization's brand's, else the organization's. Where the
    /// organization is neutral, every location is (docs/adr/0011).
    #[must_use]
    pub fn effective(own: Option<Self>, general: Option<Self>, defaults: BrandDefaults) -> Self {
        let general = general.unwrap_or(Self {
            name: defaults.name,
            logo_url: None,
            phone: None,
            neutral: false,
            locale: None,
            portal_url: None,
        });
        let locale = general.locale.clone().or(defaults.locale);
        let portal_url = general.portal_url.clone().unwrap_or(defaults.portal_url);
        let neutral = general.neutral;
        let brand = own.unwrap_or(general);
        Self {
            neutral: brand.neutral || neutral,
            locale: brand.locale.or(locale),
            portal_url: brand.portal_url.or(Some(portal_url)),
            ..brand
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn brand(name: &str, locale: Option<&str>, neutral: bool) -> Brand {
        Brand {
            name: Name::stored(name.to_owned()),
            logo_url: None,
            phone: None,
            neutral,
            locale: locale.map(|tag| Locale::stored(tag.to_owned())),
            portal_url: None,
        }
    }

    fn effective(own: Option<Brand>, general: Option<Brand>) -> (String, String, bool) {
        let defaults = BrandDefaults {
            name: Name::stored("Organization".to_owned()),
            locale: Some(Locale::stored("en".to_owned())),
            portal_url: WebUrl::stored("https://portal.example.org".to_owned()),
        };
        let url = defaults.portal_url.clone();
        let brand = Brand::effective(own, general, defaults);
        assert_eq!(brand.portal_url, Some(url));
        (
            brand.name.into(),
            brand.locale.map(String::from).unwrap_or_default(),
            brand.neutral,
        )
    }

    #[test]
    fn a_brand_falls_back_field_by_field_only_in_language_and_portal() {
        let told = |name: &str, locale: &str, neutral| (name.to_owned(), locale.to_owned(), neutral);
        assert_eq!(effective(None, None), told("Organization", "en", false));
        let general = Some(brand("General", Some("fr"), false));
        assert_eq!(effective(None, general.clone()), told("General", "fr", false));
        let own = Some(brand("Own", None, false));
        assert_eq!(effective(own.clone(), general), told("Own", "fr", false));
        let neutral = Some(brand("General", None, true));
        assert_eq!(effective(own, neutral), told("Own", "en", true));
    }
}
