//! Which token a call carries, and what goes with it.

use std::{fs, path::Path};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use carepost_identity::{OrganizationId, PersonId};
use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use tonic::metadata::{Ascii, MetadataValue};

use crate::{
    errors::Failure,
    keys::SigningKey,
    profile::{Profile, TokenSource},
};

/// The service of an embedded suite that feeds the directory.
pub const FEED: &str = "feed";
/// The service of an embedded suite that looks after it.
pub const OPERATOR: &str = "operator";
/// How long a token that is made for one command is good.
const LIFETIME: TimeDelta = TimeDelta::minutes(5);
/// The largest token file, in bytes.
const MAX_TOKEN: u64 = 16 * 1_024;

/// The metadata of a call.
#[derive(Clone, Debug)]
pub struct Metadata {
    /// Names and values.
    pub headers: Vec<(&'static str, MetadataValue<Ascii>)>,
    /// Whether the token was made with the key of an embedded suite.
    pub is_embedded: bool,
}

/// The claims that say what kind of token it is.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    org: Option<String>,
}

/// What a call as a person carries.
pub fn person(
    profile: &Profile,
    organization: &OrganizationId,
    person: Option<&PersonId>,
    now: DateTime<Utc>,
) -> Result<Metadata, Failure> {
    let unnamed = || {
        let what = format!("The profile `{}` does not say who you are", profile.name);
        Failure::usage(what, "Add --as staff/ID or --as portal/ID, or `as` to the profile")
    };
    let file = match &profile.tokens {
        TokenSource::Folder(folder) => {
            let key = SigningKey::read(folder)?;
            let token = key.person(organization, person.ok_or_else(unnamed)?, now, LIFETIME)?;
            return metadata(&token, None, None, true);
        }
        TokenSource::File(file) => file,
    };
    let (token, claims) = read(file)?;
    let Some(own) = claims.org else {
        return metadata(&token, Some(organization), Some(person.ok_or_else(unnamed)?), false);
    };
    if person.is_some_and(|person| person.to_string() != claims.sub) || own != organization.as_str() {
        let what = format!("The token in {} is that of {} in {own}", file.display(), claims.sub);
        return Err(Failure::usage(
            what,
            "Use a profile whose token is for whom you want to be",
        ));
    }
    metadata(&token, None, None, false)
}

/// What a call as a service carries. The name is of a service of an embedded suite; a token from a file is what it is.
pub fn service(
    profile: &Profile,
    organization: &OrganizationId,
    name: &str,
    now: DateTime<Utc>,
) -> Result<Metadata, Failure> {
    match &profile.tokens {
        TokenSource::Folder(folder) => {
            let token = SigningKey::read(folder)?.service(name, now, LIFETIME)?;
            metadata(&token, Some(organization), None, true)
        }
        TokenSource::File(file) => metadata(&read(file)?.0, Some(organization), None, false),
    }
}

fn read(file: &Path) -> Result<(String, Claims), Failure> {
    let size = fs::metadata(file).map_err(|error| Failure::file(file, &error))?.len();
    let text = if size > MAX_TOKEN {
        Ok(String::new())
    } else {
        fs::read_to_string(file)
    };
    let text = text.map_err(|error| Failure::file(file, &error))?;
    let token = text.trim().to_owned();
    let claims = token.split('.').nth(1).and_then(|part| {
        let raw = URL_SAFE_NO_PAD.decode(part).ok()?;
        serde_json::from_slice(&raw).ok()
    });
    let what = || format!("{} holds no token", file.display());
    let claims = claims.ok_or_else(|| Failure::usage(what(), "Write a JWT into it, and nothing else"))?;
    Ok((token, claims))
}

fn metadata(
    token: &str,
    organization: Option<&OrganizationId>,
    act_as: Option<&PersonId>,
    is_embedded: bool,
) -> Result<Metadata, Failure> {
    let pairs = [
        ("authorization", Some(format!("Bearer {token}"))),
        ("carepost-organization", organization.map(ToString::to_string)),
        ("carepost-act-as", act_as.map(ToString::to_string)),
    ];
    let mut headers = Vec::new();
    for (name, value) in pairs {
        if let Some(value) = value {
            let wrong = |_| {
                Failure::usage(
                    "The token has characters that no token has",
                    "Write it into its file again",
                )
            };
            headers.push((name, MetadataValue::try_from(value).map_err(wrong)?));
        }
    }
    Ok(Metadata { headers, is_embedded })
}
