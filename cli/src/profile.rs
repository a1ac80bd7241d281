//! Profiles: where the services are, for which organization, who I am, and where the token is from.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use carepost_identity::{OrganizationId, PersonId};
use carepost_rpc::connect::ClientTls;
use serde::Deserialize;
use url::Url;

use crate::errors::Failure;

/// One profile, checked.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The file that it is from.
    pub file: PathBuf,
    /// For which organization.
    pub organization: Option<OrganizationId>,
    /// Who I am, unless `--as` says otherwise.
    pub me: Option<PersonId>,
    /// Where messaging is.
    pub messaging: Url,
    /// Where eligibility is.
    pub eligibility: Url,
    /// Where notification is.
    pub notification: Url,
    /// Where the token is from.
    pub tokens: TokenSource,
    /// Whom endpoints with `https` are believed by, and who calls them.
    pub tls: ClientTls,
}

/// Where the token is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenSource {
    /// A file with a token, of a person or of a service that may act for people.
    File(PathBuf),
    /// The folder of an embedded suite: a token is made with its key for each command.
    Folder(PathBuf),
}

/// A profile as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    organization: Option<String>,
    #[serde(rename = "as")]
    me: Option<String>,
    messaging: String,
    eligibility: String,
    notification: String,
    token_file: Option<PathBuf>,
    data: Option<PathBuf>,
    ca_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
}

/// Where profiles are if nothing else is said.
pub fn default_file() -> Result<PathBuf, Failure> {
    let home = std::env::home_dir().filter(|home| !home.as_os_str().is_empty());
    let home = home.ok_or_else(|| Failure::usage("You have no home folder", "Name a file with --profiles"))?;
    Ok(home.join(".config/carepost/profiles.toml"))
}

/// Reads one profile.
pub fn read(file: &Path, name: &str) -> Result<Profile, Failure> {
    let mut entries = entries(file)?;
    let Some(entry) = entries.remove(name) else {
        let names: Vec<_> = entries.keys().map(String::as_str).collect();
        let next = format!("It has: {}. Choose one with --profile, or add it", names.join(", "));
        let what = format!("There is no profile `{name}` in {}", file.display());
        return Err(Failure::usage(what, next));
    };
    check(file, name, entry)
        .map_err(|what| Failure::usage(format!("Profile `{name}` in {}: {what}", file.display()), "Correct it"))
}

fn entries(file: &Path) -> Result<BTreeMap<String, Entry>, Failure> {
    let text = fs::read_to_string(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failure::usage(
            format!("There are no profiles yet ({})", file.display()),
            "Start a suite with `carepost run`, which writes one, or write one for your deployment: see `carepost --help`",
        ),
        _ => Failure::file(file, &error),
    })?;
    toml::from_str(&text).map_err(|error| {
        let (line, column) = place(&text, error.span().map_or(0, |span| span.start));
        let what = error.message().lines().next().unwrap_or_default().to_owned();
        Failure::usage(format!("{}:{line}:{column}: {what}", file.display()), "Correct it")
    })
}

/// Line and column of a byte, both from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

fn check(file: &Path, name: &str, entry: Entry) -> Result<Profile, String> {
    let tokens = match (entry.token_file, entry.data) {
        (Some(path), None) => TokenSource::File(path),
        (None, Some(path)) => TokenSource::Folder(path),
        _ => return Err("give either token_file or data".to_owned()),
    };
    let identity = match (entry.certificate_file, entry.key_file) {
        (None, None) => None,
        (Some(certificate), Some(key)) => Some((certificate, key)),
        _ => return Err("certificate_file and key_file go together".to_owned()),
    };
    let tls = ClientTls {
        ca_file: entry.ca_file,
        identity,
    };
    let endpoints = [&entry.messaging, &entry.eligibility, &entry.notification];
    if tls != ClientTls::default() && !endpoints.iter().any(|url| url.starts_with("https:")) {
        return Err("ca_file, certificate_file and key_file are for endpoints that begin with https://".to_owned());
    }
    let organization = entry.organization.map(OrganizationId::parse).transpose();
    let me = entry.me.as_deref().map(PersonId::parse).transpose();
    Ok(Profile {
        name: name.to_owned(),
        file: file.to_owned(),
        organization: organization.map_err(|error| format!("organization {error}"))?,
        me: me.map_err(|error| format!("as {error}"))?,
        messaging: endpoint("messaging", &entry.messaging)?,
        eligibility: endpoint("eligibility", &entry.eligibility)?,
        notification: endpoint("notification", &entry.notification)?,
        tokens,
        tls,
    })
}

fn endpoint(key: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https"));
    url.filter(Url::has_host)
        .ok_or_else(|| format!("{key} must be of the form http://host:port or https://host:port"))
}

/// Writes a profile of an embedded suite into a file, in place of one of the same name, and leaves the rest as it is.
/// One that somebody wrote for a deployment, without `data`, is not touched: `Ok(false)`.
pub fn write(file: &Path, name: &str, body: &str) -> Result<bool, Failure> {
    let old = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(error) => return Err(Failure::file(file, &error)),
    };
    if !old.is_empty() && entries(file)?.get(name).is_some_and(|entry| entry.data.is_none()) {
        return Ok(false);
    }
    let text = replace_table(&old, name, body);
    let written = file.parent().map_or(Ok(()), fs::create_dir_all);
    let new = file.with_extension("new");
    written
        .and_then(|()| fs::write(&new, text))
        .and_then(|()| fs::rename(&new, file))
        .map_err(|error| Failure::file(file, &error))?;
    Ok(true)
}

/// The text with the table of this name replaced, or added at its end.
fn replace_table(text: &str, name: &str, body: &str) -> String {
    let header = format!("[{name}]");
    let mut kept: Vec<&str> = Vec::new();
    let mut skipping = false;
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            skipping = line.trim() == header;
        }
        if !skipping {
            kept.push(line);
        }
    }
    let kept = kept.join("\n").trim_end().to_owned();
    let between = if kept.is_empty() { "" } else { "\n\n" };
    format!("{kept}{between}{header}\n{body}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "messaging = \"http://127.0.0.1:1\"\neligibility = \"http://127.0.0.1:2\"\n\
        notification = \"http://127.0.0.1:3\"\ndata = \"/d\"\n";

    #[test]
    fn a_profile_is_replaced_and_others_stay_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a/profiles.toml");
        assert!(write(&file, "local", BODY).unwrap());
        let own = BODY.replace("data", "# mine\ntoken_file");
        let text = format!("{}\n[live]\n{own}", fs::read_to_string(&file).unwrap());
        fs::write(&file, &text).unwrap();
        assert!(write(&file, "local", &BODY.replace("/d", "/e")).unwrap());
        assert_eq!(read(&file, "local").unwrap().tokens, TokenSource::Folder("/e".into()));
        assert_eq!(read(&file, "live").unwrap().tokens, TokenSource::File("/d".into()));
        assert!(fs::read_to_string(&file).unwrap().contains("# mine"));
        assert!(
            !write(&file, "live", BODY).unwrap(),
            "a profile of a deployment is not touched"
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("profiles.toml");
        fs::write(&file, "[local]\nmessaging = \n").unwrap();
        let failure = read(&file, "local").unwrap_err().to_string();
        assert!(
            failure.contains("profiles.toml:2:") && failure.lines().count() == 1,
            "{failure}"
        );
        fs::write(&file, format!("[local]\n{}", BODY.replace("http:", "ftp:"))).unwrap();
        let failure = read(&file, "local").unwrap_err().to_string();
        assert!(failure.contains("messaging must be of the form"), "{failure}");
        for (lines, fault) in [
            ("ca_file = \"/ca.pem\"\n", "are for endpoints that begin with https://"),
            (
                "certificate_file = \"/me.pem\"\n",
                "certificate_file and key_file go together",
            ),
        ] {
            fs::write(&file, format!("[local]\n{BODY}{lines}")).unwrap();
            let failure = read(&file, "local").unwrap_err().to_string();
            assert!(failure.contains(fault), "{failure}");
        }
        let failure = read(&folder.path().join("none"), "local").unwrap_err().to_string();
        assert!(failure.contains("carepost run"), "{failure}");
    }
}
