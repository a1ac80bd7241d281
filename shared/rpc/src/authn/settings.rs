//! Whose tokens are accepted, and what services may do.

use std::{collections::BTreeSet, path::PathBuf};

use carepost_identity::{OrganizationId, ServiceName};
use carepost_runtime::settings::Reader;
use serde::Deserialize;
use url::Url;

use super::fetch::KeyUrl;

/// Every scope that there is.
const SCOPES: &[&str] = &[
    "act_as:portal",
    "act_as:staff",
    "directory.read",
    "directory.write",
    "eligibility.read",
    "notifications.read",
    "notifications.write",
    "settings.write",
];

/// Settings of identity.
#[derive(Clone, Debug)]
pub struct IdentitySettings {
    pub(super) audience: String,
    pub(super) issuers: Vec<Issuer>,
    services: Vec<Service>,
}

/// Who makes tokens.
#[derive(Clone, Debug)]
pub(super) struct Issuer {
    pub name: String,
    pub keys: KeySource,
    /// The organizations for whose people it may speak.
    pub organizations: Organizations,
}

/// Where an issuer's public keys are.
#[derive(Clone, Debug)]
pub(super) enum KeySource {
    File(PathBuf),
    Url(KeyUrl),
}

/// A service, known by its token.
#[derive(Clone, Debug)]
pub(super) struct Service {
    issuer: String,
    subject: String,
    pub name: ServiceName,
    pub scopes: BTreeSet<String>,
    pub organizations: Organizations,
}

/// For whom somebody may speak.
#[derive(Clone, Debug)]
pub(super) enum Organizations {
    All,
    Only(BTreeSet<OrganizationId>),
}

impl Organizations {
    pub fn contain(&self, organization: &OrganizationId) -> bool {
        match self {
            Self::All => true,
            Self::Only(organizations) => organizations.contains(organization),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IssuerEntry {
    issuer: String,
    jwks_file: Option<PathBuf>,
    jwks_url: Option<String>,
    jwks_ca_file: Option<PathBuf>,
    jwks_token_file: Option<PathBuf>,
    #[serde(default)]
    organizations: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceEntry {
    issuer: String,
    subject: String,
    name: String,
    #[serde(default)]
    scopes: Vec<String>,
    #[serde(default)]
    organizations: Vec<String>,
}

impl IdentitySettings {
    /// Reads the section `identity`.
    pub fn read(reader: &mut Reader) -> Self {
        let audience = reader.text("identity.audience");
        let entries: Vec<IssuerEntry> = reader.list("identity.issuers");
        if entries.is_empty() {
            reader.fault(
                "identity.issuers",
                "at least one is required: without it nobody can call",
            );
        }
        let issuers: Vec<_> = entries.into_iter().filter_map(|entry| issuer(reader, entry)).collect();
        let entries: Vec<ServiceEntry> = reader.list("identity.services");
        let services: Vec<_> = entries.into_iter().filter_map(|entry| service(reader, entry)).collect();
        tell_doubles(
            reader,
            "identity.issuers",
            issuers.iter().map(|issuer| issuer.name.clone()),
        );
        let tokens = services
            .iter()
            .map(|service| format!("{} of {}", service.subject, service.issuer));
        tell_doubles(reader, "identity.services", tokens);
        for service in &services {
            if !issuers.iter().any(|issuer| issuer.name == service.issuer) {
                reader.fault(
                    "identity.services",
                    format!("the issuer of {} is not configured", service.name),
                );
            }
        }
        Self {
            audience,
            issuers,
            services,
        }
    }

    pub(super) fn issuer(&self, name: &str) -> Option<&Issuer> {
        self.issuers.iter().find(|issuer| issuer.name == name)
    }

    pub(super) fn service(&self, issuer: &str, subject: &str) -> Option<&Service> {
        self.services
            .iter()
            .find(|service| service.issuer == issuer && service.subject == subject)
    }
}

/// One that is there twice would have two meanings.
fn tell_doubles(reader: &mut Reader, key: &str, names: impl Iterator<Item = String>) {
    let mut seen = BTreeSet::new();
    for name in names {
        if name.is_empty() {
            reader.fault(key, "a name is empty");
        } else if !seen.insert(name.clone()) {
            reader.fault(key, format!("{name} is there twice"));
        }
    }
}

fn issuer(reader: &mut Reader, entry: IssuerEntry) -> Option<Issuer> {
    let key = "identity.issuers";
    let url = entry.jwks_url.as_deref().map(Url::parse);
    let keys = match (entry.jwks_file, url) {
        (Some(path), None) => Some(KeySource::File(path)),
        (None, Some(Ok(url))) => KeyUrl::new(url, entry.jwks_ca_file, entry.jwks_token_file).map(KeySource::Url),
        _ => None,
    };
    let Some(keys) = keys else {
        let what = "give either jwks_file or jwks_url (https, or http on this machine)";
        reader.fault(key, format!("{}: {what}", entry.issuer));
        return None;
    };
    let organizations = organizations(reader, key, entry.organizations)?;
    Some(Issuer {
        name: entry.issuer,
        keys,
        organizations,
    })
}

fn service(reader: &mut Reader, entry: ServiceEntry) -> Option<Service> {
    let key = "identity.services";
    for scope in entry.scopes.iter().filter(|scope| !SCOPES.contains(&scope.as_str())) {
        reader.fault(key, format!("there is no scope `{scope}`"));
    }
    let organizations = organizations(reader, key, entry.organizations)?;
    match ServiceName::parse(entry.name) {
        Ok(name) => {
            let scopes = entry.scopes.into_iter().collect();
            Some(Service {
                issuer: entry.issuer,
                subject: entry.subject,
                name,
                scopes,
                organizations,
            })
        }
        Err(error) => {
            reader.fault(key, format!("the name of a service {error}"));
            None
        }
    }
}

/// `["*"]` is all.
fn organizations(reader: &mut Reader, key: &str, entries: Vec<String>) -> Option<Organizations> {
    if entries == ["*"] {
        return Some(Organizations::All);
    }
    match entries.into_iter().map(OrganizationId::parse).collect() {
        Ok(organizations) => Some(Organizations::Only(organizations)),
        Err(error) => {
            reader.fault(key, format!("the id of an organization {error}"));
            None
        }
    }
}
