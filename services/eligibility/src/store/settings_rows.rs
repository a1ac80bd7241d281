//! How messaging settings and brands lie in their tables, and in the history of changes.

use sea_orm::{QueryResult, Value};
use serde::{Deserialize, Serialize};

use super::{
    StoreError,
    row::{get, messaging, optional},
};
use crate::domain::directory::{
    Audience, Brand, BrandDefaults, Changed, Locale, Messaging, Name, Phone, RecordKind, WebUrl,
};

/// What can be set for the organization and for a location: messaging settings, and brands.
pub(super) trait Setting: Clone + PartialEq {
    const KIND: RecordKind;
    /// The kind in the tables of versions and changes.
    const WORD: &'static str;
    const TABLE: &'static str;
    /// The columns of its content.
    const COLUMNS: &'static [&'static str];

    /// Its content, in its columns.
    fn values(&self) -> Vec<Value>;
    /// From columns with a prefix; none if there is no row.
    fn read(row: &QueryResult, prefix: &str) -> Result<Option<Self>, StoreError>;
    /// What holds at a place.
    fn effective(own: Option<Self>, general: Option<Self>, defaults: BrandDefaults) -> Self;
    /// As it is kept in the history.
    fn to_json(&self) -> Result<String, StoreError>;
    fn from_json(json: &str) -> Result<Self, StoreError>;
    fn changed(before: Option<Self>, after: Option<Self>) -> Changed;
}

/// The columns of a joined table, each under its name with the table's as prefix.
pub(super) fn columns<T: Setting>(table: &str) -> String {
    let columns: Vec<_> = T::COLUMNS
        .iter()
        .map(|column| format!("{table}.{column} AS {table}_{column}"))
        .collect();
    columns.join(", ")
}

const UNREADABLE: StoreError = StoreError::Corrupt("change of settings");

#[derive(Serialize, Deserialize)]
struct MessagingJson {
    enabled: bool,
    audience: Option<String>,
}

impl Setting for Messaging {
    const KIND: RecordKind = RecordKind::MessagingSettings;
    const WORD: &'static str = "messaging";
    const TABLE: &'static str = "messaging_setting";
    const COLUMNS: &'static [&'static str] = &["enabled", "audience"];

    fn values(&self) -> Vec<Value> {
        let audience = self.audience().map(Audience::as_str);
        vec![self.enabled().is_some().into(), audience.into()]
    }

    fn read(row: &QueryResult, prefix: &str) -> Result<Option<Self>, StoreError> {
        messaging(row, &format!("{prefix}enabled"), &format!("{prefix}audience"))
    }

    fn effective(own: Option<Self>, general: Option<Self>, _: BrandDefaults) -> Self {
        Self::effective(own, general)
    }

    fn to_json(&self) -> Result<String, StoreError> {
        let json = MessagingJson {
            enabled: self.enabled().is_some(),
            audience: self.audience().map(|audience| audience.as_str().to_owned()),
        };
        serde_json::to_string(&json).map_err(|_| UNREADABLE)
    }

    fn from_json(json: &str) -> Result<Self, StoreError> {
        let json: MessagingJson = serde_json::from_str(json).map_err(|_| UNREADABLE)?;
        let word = |word: String| Audience::from_word(&word).ok_or(UNREADABLE);
        let audience = json.audience.map(word).transpose()?;
        Self::parse(json.enabled, audience).map_err(|_| UNREADABLE)
    }

    fn changed(before: Option<Self>, after: Option<Self>) -> Changed {
        Changed::Messaging { before, after }
    }
}

#[derive(Serialize, Deserialize)]
struct BrandJson {
    name: String,
    logo_url: Option<String>,
    phone: Option<String>,
    neutral: bool,
    locale: Option<String>,
    portal_url: Option<String>,
}

/// An absent text is stored as an empty one.
macro_rules! optional {
    ($text:expr) => {
        $text.as_ref().map(|text| text.as_str()).unwrap_or_default().into()
    };
}

impl Setting for Brand {
    const KIND: RecordKind = RecordKind::Brand;
    const WORD: &'static str = "brand";
    const TABLE: &'static str = "brand";
    const COLUMNS: &'static [&'static str] = &["name", "logo_url", "phone", "neutral", "locale", "portal_url"];

    fn values(&self) -> Vec<Value> {
        vec![
            self.name.as_str().into(),
            optional!(self.logo_url),
            optional!(self.phone),
            self.neutral.into(),
            optional!(self.locale),
            optional!(self.portal_url),
        ]
    }

    fn read(row: &QueryResult, prefix: &str) -> Result<Option<Self>, StoreError> {
        let column = |name: &str| format!("{prefix}{name}");
        let Some(name) = get::<Option<String>>(row, &column("name"))? else {
            return Ok(None);
        };
        Ok(Some(Self {
            name: Name::stored(name),
            logo_url: optional(row, &column("logo_url"), WebUrl::stored)?,
            phone: optional(row, &column("phone"), Phone::stored)?,
            neutral: get(row, &column("neutral"))?,
            locale: optional(row, &column("locale"), Locale::stored)?,
            portal_url: optional(row, &column("portal_url"), WebUrl::stored)?,
        }))
    }

    fn effective(own: Option<Self>, general: Option<Self>, defaults: BrandDefaults) -> Self {
        Self::effective(own, general, defaults)
    }

    fn to_json(&self) -> Result<String, StoreError> {
        let json = BrandJson {
            name: self.name.as_str().to_owned(),
            logo_url: self.logo_url.clone().map(String::from),
            phone: self.phone.clone().map(String::from),
            neutral: self.neutral,
            locale: self.locale.clone().map(String::from),
            portal_url: self.portal_url.clone().map(String::from),
        };
        serde_json::to_string(&json).map_err(|_| UNREADABLE)
    }

    fn from_json(json: &str) -> Result<Self, StoreError> {
        let json: BrandJson = serde_json::from_str(json).map_err(|_| UNREADABLE)?;
        Ok(Self {
            name: Name::stored(json.name),
            logo_url: json.logo_url.map(WebUrl::stored),
            phone: json.phone.map(Phone::stored),
            neutral: json.neutral,
            locale: json.locale.map(Locale::stored),
            portal_url: json.portal_url.map(WebUrl::stored),
        })
    }

    fn changed(before: Option<Self>, after: Option<Self>) -> Changed {
        Changed::Brand { before, after }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_gives_back_what_it_was_given() {
        let brand = Brand {
            name: Name::stored("Clinic \"One\"".to_owned()),
            logo_url: Some(WebUrl::stored("https://example.org/a.png".to_owned())),
            phone: None,
            neutral: true,
            locale: Some(Locale::stored("fr".to_owned())),
            portal_url: None,
        };
        let json = brand.to_json().unwrap();
        assert!(Brand::from_json(&json).is_ok_and(|read| read == brand));
        for setting in [Messaging::Disabled(None), Messaging::Enabled(Audience::CareTeamOnly)] {
            let json = setting.to_json().unwrap();
            assert!(Messaging::from_json(&json).is_ok_and(|read| read == setting));
        }
        assert!(Messaging::from_json("{\"enabled\":true}").is_err());
    }
}
