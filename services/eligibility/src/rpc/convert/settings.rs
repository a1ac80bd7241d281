//! Settings, brands and their seeds.

use carepost_identity::LocationId;
use carepost_proto::eligibility::v1 as proto;
use carepost_rpc::Violations;

use super::{fields::Fields, words::audience};
use crate::domain::directory::{Brand, Messaging, Name, Phone, Seed, SeedContent, WebUrl};

pub(super) fn messaging_seed(violations: &mut Violations, seed: proto::MessagingSettingsSeed) -> Option<Seed> {
    let mut fields = Fields::of(violations, "messaging_settings_seed");
    let location = location(&mut fields, seed.location_id);
    let Some(settings) = seed.settings else {
        fields.add("settings", "is required");
        return None;
    };
    let chosen = match settings.audience {
        0 => Some(None),
        number => fields.word("settings.audience", audience(number)).map(Some),
    };
    let messaging = fields.take("settings.audience", Messaging::parse(settings.enabled, chosen?));
    Some(Seed {
        location: location?,
        content: SeedContent::Messaging(messaging?),
    })
}

pub(super) fn brand_seed(violations: &mut Violations, seed: proto::BrandSeed) -> Option<Seed> {
    let mut fields = Fields::of(violations, "brand_seed");
    let location = location(&mut fields, seed.location_id);
    let Some(brand) = seed.brand else {
        fields.add("brand", "is required");
        return None;
    };
    let name = fields.take("brand.name", Name::parse(brand.name));
    let logo_url = fields.optional("brand.logo_url", brand.logo_url, WebUrl::parse_https);
    let phone = fields.optional("brand.phone", brand.phone, Phone::parse);
    let brand = Brand {
        name: name?,
        logo_url: logo_url?,
        phone: phone?,
        neutral: brand.neutral,
    };
    Some(Seed {
        location: location?,
        content: SeedContent::Brand(brand),
    })
}

#[allow(clippy::option_option, reason = "the outer one is whether the field is right")]
fn location(fields: &mut Fields<'_>, id: Option<String>) -> Option<Option<LocationId>> {
    fields.take("location_id", id.map(LocationId::parse).transpose())
}

pub(super) fn brand_message(brand: Brand) -> proto::Brand {
    proto::Brand {
        name: brand.name.into(),
        logo_url: brand.logo_url.map(String::from).unwrap_or_default(),
        phone: brand.phone.map(String::from).unwrap_or_default(),
        neutral: brand.neutral,
    }
}
