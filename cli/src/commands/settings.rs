//! `carepost settings`

use std::collections::{BTreeMap, BTreeSet};

use carepost_identity::{LocationId, PersonId};
use carepost_proto::eligibility::v1::{
    Audience, Brand, GetBrandRequest, GetLocationRequest, GetMessagingSettingsRequest, ListSettingChangesRequest,
    MessagingSettings, SettingChange, UpdateBrandRequest, UpdateMessagingSettingsRequest,
    list_setting_changes_request::Place, setting_change::Change, settings_service_client::SettingsServiceClient,
};
use clap::{Args, Subcommand, ValueEnum, value_parser};
use serde_json::{Value, json};

use super::pages;
use crate::{
    client::{Context, Service, Through},
    errors::{Exit, Failure},
    render::{Report, Style, Table, clean, local, rfc3339, word},
};

type Client = SettingsServiceClient<Through>;

/// See `Command::Settings`.
#[derive(Debug, Args)]
#[command(after_help = "\
Messaging is off until it is enabled, for the organization or for single locations. What a location has of its own replaces
the organization's, whole. Act with --as as staff with the role super_admin or manage_portal_settings, else as a service.

Examples:
  carepost settings show
  carepost settings show --location south
  carepost settings messaging --audience care-team-only
  carepost settings messaging --location south --off
  carepost settings messaging --location south --follow
  carepost settings brand --name \"Prairie Health\" --phone \"+1 555 0100\" --neutral
  carepost settings messaging --as staff/9999877696 --off
  carepost settings history

JSON of show, messaging and brand: {location_id or null, messaging, messaging_effective: {enabled, audience}, etag, brand,
brand_effective: {name, logo_url, phone, neutral, locale, portal_url}, brand_etag}, each with what it is about; of history:
{more, changes: [{id, change_time, changed_by, relayed_by, seed, location_id, kind, before, after}]}")]
pub struct SettingsArgs {
    /// Who I am: staff/ID [default: the profile's; without one, a service].
    #[arg(long = "as", global = true, value_name = "PERSON")]
    person: Option<PersonId>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Show what is set, and what therefore holds.
    Show(At),
    /// Turn messaging on or off.
    Messaging(MessagingArgs),
    /// Set the name under which emails go out. What is not given is emptied.
    Brand(BrandArgs),
    /// List every change, newest first.
    History(HistoryArgs),
}

#[derive(Debug, Args)]
struct At {
    /// Of this location [default: of the organization].
    #[arg(long, value_name = "ID")]
    location: Option<LocationId>,
}

impl At {
    fn id(&self) -> Option<String> {
        self.location.as_ref().map(ToString::to_string)
    }

    fn name(&self) -> String {
        self.location
            .as_ref()
            .map_or_else(|| "the organization".to_owned(), |id| format!("location {id}"))
    }
}

#[derive(Debug, Args)]
struct MessagingArgs {
    #[command(flatten)]
    at: At,
    /// On, and who of the staff takes part.
    #[arg(long, value_enum, required_unless_present_any = ["off", "follow"], conflicts_with_all = ["off", "follow"])]
    audience: Option<Who>,
    /// Off.
    #[arg(long, conflicts_with = "follow")]
    off: bool,
    /// Let the location follow the organization again.
    #[arg(long, requires = "location")]
    follow: bool,
    /// Only if nothing changed since the `etag` of `settings show --json` [default: since now].
    #[arg(long)]
    etag: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Who {
    /// The chart's care team.
    CareTeamOnly,
    /// Staff with the role available_for_portal_messages.
    SelectedUsers,
}

#[derive(Debug, Args)]
struct BrandArgs {
    #[command(flatten)]
    at: At,
    /// Name of the company or clinic.
    #[arg(long, required_unless_present = "follow")]
    name: Option<String>,
    /// https URL of the logo.
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    logo_url: String,
    /// Phone number, as it is to be shown.
    #[arg(long, value_name = "NUMBER", default_value = "", hide_default_value = true)]
    phone: String,
    /// Leave the brand out of emails.
    #[arg(long)]
    neutral: bool,
    /// Language of emails, `en-US` for example.
    #[arg(long, value_name = "TAG", default_value = "", hide_default_value = true)]
    locale: String,
    /// Where the portal's inbox is.
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    portal_url: String,
    /// Let the location follow the organization again.
    #[arg(long, requires = "location", conflicts_with_all = ["name", "logo_url", "phone", "neutral", "locale", "portal_url"])]
    follow: bool,
    /// Only if nothing changed since the `brand_etag` of `settings show --json` [default: since now].
    #[arg(long)]
    etag: Option<String>,
}

#[derive(Debug, Args)]
struct HistoryArgs {
    #[command(flatten)]
    at: At,
    /// How many changes at most.
    #[arg(long, value_name = "NUMBER", default_value_t = 25, value_parser = value_parser!(u16).range(1..=1_000))]
    limit: u16,
}

/// Shows or changes settings.
pub async fn run(context: &Context, args: SettingsArgs) -> Result<Report, Failure> {
    let client = context.settings(args.person.as_ref()).await?;
    match args.what {
        What::Show(at) => show(context, client, &at).await,
        What::Messaging(change) => messaging(context, client, change).await,
        What::Brand(change) => brand(context, client, change).await,
        What::History(args) => history(context, client, args).await,
    }
}

async fn show(context: &Context, mut client: Client, at: &At) -> Result<Report, Failure> {
    let call = client.get_messaging_settings(GetMessagingSettingsRequest { location_id: at.id() });
    let settings = context.ask(Service::Eligibility, call).await?;
    let call = client.get_brand(GetBrandRequest { location_id: at.id() });
    let brand = context.ask(Service::Eligibility, call).await?;
    let own = |is_own: bool| if is_own { "set here" } else { "not set here" };
    let holds = brand.effective.clone().unwrap_or_default();
    let set = brand.brand.clone().unwrap_or_default();
    let mut table = Table::new(&["SETTING", "HOLDS", "FROM"]);
    let rows = [
        ("messaging", in_words(settings.effective), settings.settings.is_some()),
        ("brand", holds.name, !set.name.is_empty()),
        ("logo", holds.logo_url, !set.logo_url.is_empty()),
        ("phone", holds.phone, !set.phone.is_empty()),
        ("neutral", holds.neutral.to_string(), brand.brand.is_some()),
        ("locale", holds.locale, !set.locale.is_empty()),
        ("portal", holds.portal_url, !set.portal_url.is_empty()),
    ];
    for (name, value, is_own) in rows {
        let value = if value.is_empty() {
            "-".to_owned()
        } else {
            clean(&value, 80)
        };
        table.row(Style::Plain, [name.to_owned(), value, own(is_own).to_owned()]);
    }
    let json = json!({
        "location_id": at.id(),
        "messaging": settings.settings.map(settings_json), "messaging_effective": settings.effective.map(settings_json),
        "etag": settings.etag,
        "brand": brand.brand.as_ref().map(brand_json), "brand_effective": brand.effective.as_ref().map(brand_json),
        "brand_etag": brand.etag,
    });
    Ok(Report::done(
        format!("Settings of {}\n{}", at.name(), table.render(context.paint)),
        json,
    ))
}

async fn messaging(context: &Context, mut client: Client, args: MessagingArgs) -> Result<Report, Failure> {
    let at = &args.at;
    let etag = match args.etag {
        Some(etag) => etag,
        None => {
            let call = client.get_messaging_settings(GetMessagingSettingsRequest { location_id: at.id() });
            context.ask(Service::Eligibility, call).await?.etag
        }
    };
    let audience = args.audience.map(|audience| match audience {
        Who::CareTeamOnly => Audience::CareTeamOnly,
        Who::SelectedUsers => Audience::SelectedUsers,
    });
    let settings = MessagingSettings {
        enabled: audience.is_some(),
        audience: audience.unwrap_or_default().into(),
    };
    let call = client.update_messaging_settings(UpdateMessagingSettingsRequest {
        location_id: at.id(),
        settings: (!args.follow).then_some(settings),
        etag,
    });
    let answer = context.ask(Service::Eligibility, call).await?;
    let text = format!("Messaging of {} is now {}.", at.name(), in_words(answer.effective));
    let json = json!({
        "location_id": at.id(), "messaging": answer.settings.map(settings_json),
        "messaging_effective": answer.effective.map(settings_json), "etag": answer.etag,
    });
    Ok(Report::done(text, json))
}

async fn brand(context: &Context, mut client: Client, args: BrandArgs) -> Result<Report, Failure> {
    let at = &args.at;
    let etag = match args.etag {
        Some(etag) => etag,
        None => {
            let call = client.get_brand(GetBrandRequest { location_id: at.id() });
            context.ask(Service::Eligibility, call).await?.etag
        }
    };
    let brand = args.name.map(|name| Brand {
        name,
        logo_url: args.logo_url,
        phone: args.phone,
        neutral: args.neutral,
        locale: args.locale,
        portal_url: args.portal_url,
    });
    let call = client.update_brand(UpdateBrandRequest {
        location_id: at.id(),
        brand: brand.filter(|_| !args.follow),
        etag,
    });
    let answer = context.ask(Service::Eligibility, call).await?;
    let holds = answer.effective.clone().unwrap_or_default();
    let neutral = if holds.neutral { ", left out of emails" } else { "" };
    let text = format!("The brand of {} is now {}{neutral}.", at.name(), clean(&holds.name, 80));
    let json = json!({
        "location_id": at.id(), "brand": answer.brand.as_ref().map(brand_json),
        "brand_effective": answer.effective.as_ref().map(brand_json), "brand_etag": answer.etag,
    });
    Ok(Report::done(text, json))
}

async fn history(context: &Context, mut client: Client, args: HistoryArgs) -> Result<Report, Failure> {
    let limit = usize::from(args.limit);
    let page = async |page_size, page_token| {
        let call = client.list_setting_changes(ListSettingChangesRequest {
            place: args.at.id().map(Place::LocationId),
            page_size,
            page_token,
        });
        let page = context.ask(Service::Eligibility, call).await?;
        Ok((page.changes, page.next_page_token))
    };
    let (changes, page_token) = pages(limit, String::new(), page).await?;
    let names = location_names(context, &changes).await;
    let mut table = Table::new(&["WHEN", "WHO", "WHERE", "WHAT", "BEFORE", "AFTER"]);
    for change in &changes {
        let (what, before, after) = told(change);
        let who = if change.relayed_by.is_empty() {
            change.changed_by.clone()
        } else {
            format!("{} by {}", change.changed_by, change.relayed_by)
        };
        let who = if change.seed { format!("{who} (seed)") } else { who };
        let place = change.location_id.as_ref().map_or_else(
            || "organization".to_owned(),
            |id| {
                names
                    .get(id)
                    .map_or_else(|| id.clone(), |name| format!("{} ({id})", clean(name, 40)))
            },
        );
        table.row(
            Style::Plain,
            [local(change.change_time), who, place, what.to_owned(), before, after],
        );
    }
    let more = !page_token.is_empty();
    let json = json!({"more": more, "changes": changes.iter().map(change_json).collect::<Vec<_>>()});
    let text = match (changes.is_empty(), more) {
        (true, _) => "Nothing was ever set.".to_owned(),
        (false, false) => table.render(context.paint),
        (false, true) => format!("{}\nThere are more changes: --limit.", table.render(context.paint)),
    };
    Ok(Report::done(text, json))
}

/// The names of the locations of changes, as far as they can be asked for now: ids alone do as well.
async fn location_names(context: &Context, changes: &[SettingChange]) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    let Ok(mut directory) = context.directory() else {
        return names;
    };
    let ids: BTreeSet<_> = changes.iter().filter_map(|change| change.location_id.clone()).collect();
    for location_id in ids {
        let call = directory.get_location(GetLocationRequest {
            location_id: location_id.clone(),
        });
        match context.ask(Service::Eligibility, call).await {
            Ok(answer) => {
                let location = answer.record.and_then(|record| record.location);
                names.extend(location.map(|location| (location_id, location.name)));
            }
            // One that is gone.
            Err(failure) if failure.exit == Exit::NotFound => {}
            Err(_) => break,
        }
    }
    names
}

fn told(change: &SettingChange) -> (&'static str, String, String) {
    let brand = |brand: &Option<Brand>| {
        brand.as_ref().map_or_else(
            || "-".to_owned(),
            |brand| {
                format!(
                    "{}{}",
                    clean(&brand.name, 40),
                    if brand.neutral { ", neutral" } else { "" }
                )
            },
        )
    };
    match &change.change {
        Some(Change::MessagingSettings(change)) => ("messaging", in_words(change.before), in_words(change.after)),
        Some(Change::Brand(change)) => ("brand", brand(&change.before), brand(&change.after)),
        None => ("", String::new(), String::new()),
    }
}

fn in_words(settings: Option<MessagingSettings>) -> String {
    match settings {
        None => "-".to_owned(),
        Some(settings) if !settings.enabled => "off".to_owned(),
        Some(settings) => format!("on, {}", word(settings.audience().as_str_name(), "AUDIENCE_")),
    }
}

fn settings_json(settings: MessagingSettings) -> Value {
    let audience = settings.audience();
    let audience =
        (audience != Audience::Unspecified).then(|| word(audience.as_str_name(), "AUDIENCE_").replace(' ', "_"));
    json!({"enabled": settings.enabled, "audience": audience})
}

fn brand_json(brand: &Brand) -> Value {
    json!({
        "name": brand.name, "logo_url": brand.logo_url, "phone": brand.phone, "neutral": brand.neutral,
        "locale": brand.locale, "portal_url": brand.portal_url,
    })
}

fn change_json(change: &SettingChange) -> Value {
    let (kind, before, after) = match &change.change {
        Some(Change::MessagingSettings(change)) => (
            "messaging",
            change.before.map(settings_json),
            change.after.map(settings_json),
        ),
        Some(Change::Brand(change)) => (
            "brand",
            change.before.as_ref().map(brand_json),
            change.after.as_ref().map(brand_json),
        ),
        None => ("", None, None),
    };
    json!({
        "id": change.id, "change_time": rfc3339(change.change_time), "changed_by": change.changed_by,
        "relayed_by": change.relayed_by, "seed": change.seed, "location_id": change.location_id,
        "kind": kind, "before": before, "after": after,
    })
}
