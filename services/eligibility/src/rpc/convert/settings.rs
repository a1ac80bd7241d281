//! Settings, brands, their seeds and their history.

use carepost_identity::LocationId;
use carepost_proto::eligibility::v1 as proto;
use carepost_rpc::Violations;
use proto::setting_change::Change;

use super::{
    fields::Fields,
    words::{audience, from_audience, timestamp},
};
use crate::domain::directory::{
    Brand, Changed, Locale, Messaging, Name, Phone, Seed, SeedContent, SettingChange, WebUrl,
};

pub(super) fn messaging_seed(violations: &mut Violations, seed: proto::MessagingSettingsSeed) -> Option<Seed> {
    let path = "messaging_settings_seed";
    let location = location(violations, &format!("{path}.location_id"), seed.location_id);
    let path = format!("{path}.settings");
    let Some(settings) = seed.settings else {
        violations.add(path, "is required");
        return None;
    };
    let messaging = messaging(violations, &path, settings);
    Some(Seed {
        location: location?,
        content: SeedContent::Messaging(messaging?),
    })
}

pub(super) fn brand_seed(violations: &mut Violations, seed: proto::BrandSeed) -> Option<Seed> {
    let path = "brand_seed";
    let location = location(violations, &format!("{path}.location_id"), seed.location_id);
    let path = format!("{path}.brand");
    let Some(sent) = seed.brand else {
        violations.add(path, "is required");
        return None;
    };
    let brand = brand(violations, &path, sent);
    Some(Seed {
        location: location?,
        content: SeedContent::Brand(brand?),
    })
}

/// Messaging settings.
pub(in crate::rpc) fn messaging(
    violations: &mut Violations,
    path: &str,
    settings: proto::MessagingSettings,
) -> Option<Messaging> {
    let mut fields = Fields::of(violations, path);
    let chosen = match settings.audience {
        0 => Some(None),
        number => fields.word("audience", audience(number)).map(Some),
    };
    fields.take("audience", Messaging::parse(settings.enabled, chosen?))
}

/// A brand.
pub(in crate::rpc) fn brand(violations: &mut Violations, path: &str, brand: proto::Brand) -> Option<Brand> {
    let mut fields = Fields::of(violations, path);
    let name = fields.take("name", Name::parse(brand.name));
    let logo_url = fields.optional("logo_url", brand.logo_url, WebUrl::parse_https);
    let phone = fields.optional("phone", brand.phone, Phone::parse);
    let locale = fields.optional("locale", brand.locale, Locale::parse);
    let portal_url = fields.optional("portal_url", brand.portal_url, WebUrl::parse);
    Some(Brand {
        name: name?,
        logo_url: logo_url?,
        phone: phone?,
        neutral: brand.neutral,
        locale: locale?,
        portal_url: portal_url?,
    })
}

/// The id of a location, or none for the organization.
#[allow(clippy::option_option, reason = "the outer one is whether the field is right")]
pub(in crate::rpc) fn location(
    violations: &mut Violations,
    path: &str,
    id: Option<String>,
) -> Option<Option<LocationId>> {
    violations.take(path, id.map(LocationId::parse).transpose())
}

/// Messaging settings on the wire.
pub(in crate::rpc) fn messaging_message(settings: Messaging) -> proto::MessagingSettings {
    proto::MessagingSettings {
        enabled: settings.enabled().is_some(),
        audience: settings.audience().map(from_audience).unwrap_or_default(),
    }
}

/// A brand on the wire.
pub(in crate::rpc) fn brand_message(brand: Brand) -> proto::Brand {
    proto::Brand {
        name: brand.name.into(),
        logo_url: brand.logo_url.map(String::from).unwrap_or_default(),
        phone: brand.phone.map(String::from).unwrap_or_default(),
        neutral: brand.neutral,
        locale: brand.locale.map(String::from).unwrap_or_default(),
        portal_url: brand.portal_url.map(String::from).unwrap_or_default(),
    }
}

/// A change on the wire.
pub(in crate::rpc) fn setting_change(change: SettingChange) -> proto::SettingChange {
    let what = match change.change {
        Changed::Messaging { before, after } => Change::MessagingSettings(proto::MessagingSettingsChange {
            before: before.map(messaging_message),
            after: after.map(messaging_message),
        }),
        Changed::Brand { before, after } => Change::Brand(proto::BrandChange {
            before: before.map(brand_message),
            after: after.map(brand_message),
        }),
    };
    proto::SettingChange {
        id: change.id.to_string(),
        change_time: Some(timestamp(change.changed_at)),
        changed_by: change.changed_by,
        relayed_by: change.relayed_by.unwrap_or_default(),
        seed: change.seed,
        location_id: change.location.map(String::from),
        change: Some(what),
    }
}
