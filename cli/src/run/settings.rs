//! The settings of the three services of an embedded suite: what differs from their defaults.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use crate::{
    credentials::{FEED, OPERATOR},
    keys::ISSUER,
};

/// A service that may call the suite with a token of its own.
pub struct Caller {
    /// Its name, and the subject of its token.
    pub name: &'static str,
    scopes: &'static [&'static str],
}

/// Every such service.
pub const SERVICES: &[Caller] = &[
    Caller {
        name: "messaging",
        scopes: &["eligibility.read"],
    },
    Caller {
        name: "notification",
        scopes: &["eligibility.read"],
    },
    Caller {
        name: "emr",
        scopes: &["act_as:staff", "act_as:portal"],
    },
    Caller {
        name: FEED,
        scopes: &["directory.read", "directory.write"],
    },
    Caller {
        name: OPERATOR,
        scopes: &[
            "directory.read",
            "eligibility.read",
            "notifications.read",
            "notifications.write",
            "settings.write",
        ],
    },
];

/// The files of a suite.
#[derive(Clone, Debug)]
pub struct Files(pub PathBuf);

impl Files {
    /// The public key.
    pub fn jwks(&self) -> PathBuf {
        self.0.join("jwks.json")
    }

    /// Where emails go.
    pub fn mail(&self) -> PathBuf {
        self.0.join("mail")
    }

    /// The token of a service.
    pub fn token(&self, service: &str) -> PathBuf {
        self.0.join(format!("{service}.token"))
    }

    /// Where the queues are.
    pub fn broker_url(&self) -> String {
        location("sqlite", &self.0.join("broker.db"))
    }

    /// The database of a service, if it is there.
    pub fn existing_database_url(&self, service: &str) -> String {
        location("sqlite", &self.0.join(format!("{service}.db"))) + "?mode=rw"
    }

    /// Settings of eligibility.
    pub fn eligibility(&self, listen: SocketAddr) -> String {
        self.common("eligibility", listen) + &self.broker()
    }

    /// Settings of messaging.
    pub fn messaging(&self, listen: SocketAddr, eligibility: SocketAddr) -> String {
        self.common("messaging", listen) + &self.dependencies("messaging", eligibility)
    }

    /// Settings of notification.
    pub fn notification(&self, listen: SocketAddr, eligibility: SocketAddr) -> String {
        let mail = url("file", &self.mail());
        let common = self.common("notification", listen) + &self.dependencies("notification", eligibility);
        // A file is written at once: what a killed suite was about to send is tried again soon after the next start.
        format!(
            "{common}[mail]\nurl = {mail}\nfrom = \"no-reply@carepost.example.org\"\ntimeout_ms = 5000\nlease_seconds = 30\n"
        )
    }

    fn common(&self, service: &str, listen: SocketAddr) -> String {
        let database = database_url(&self.0.join(format!("{service}.db")));
        let jwks = quoted(&self.jwks().display().to_string());
        let callers: String = SERVICES
            .iter()
            .map(|Caller { name, scopes }| {
                format!(
                    "[[identity.services]]\nissuer = \"{ISSUER}\"\nsubject = \"{name}\"\nname = \"{name}\"\n\
                     scopes = {scopes:?}\norganizations = [\"*\"]\n"
                )
            })
            .collect();
        format!(
            "[server]\nlisten = \"{listen}\"\nperson_calls_per_second = 1000\nperson_burst = 1000\n\
             [database]\nurl = {database}\n[[identity.issuers]]\nissuer = \"{ISSUER}\"\n\
             jwks_file = {jwks}\norganizations = [\"*\"]\n{callers}"
        )
    }

    fn dependencies(&self, service: &str, eligibility: SocketAddr) -> String {
        let token = quoted(&self.token(service).display().to_string());
        let broker = self.broker();
        format!("[eligibility]\nurl = \"http://{eligibility}\"\ntoken_file = {token}\n{broker}")
    }

    fn broker(&self) -> String {
        format!("[broker]\nurl = {}\n", quoted(&self.broker_url()))
    }
}

fn database_url(path: &Path) -> String {
    url("sqlite", path).trim_end_matches('"').to_owned() + "?mode=rwc\""
}

/// The URL of an absolute path, as a TOML value.
fn url(scheme: &str, path: &Path) -> String {
    format!("\"{}\"", location(scheme, path))
}

/// The URL of an absolute path.
fn location(scheme: &str, path: &Path) -> String {
    let url = url::Url::from_file_path(path).map(String::from).unwrap_or_default();
    format!("{scheme}{}", url.trim_start_matches("file"))
}

/// A text as a TOML value.
pub fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_readme_lists_every_service_with_its_scopes() {
        let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md")).unwrap();
        for Caller { name, scopes } in SERVICES {
            let scopes: Vec<_> = scopes.iter().map(|scope| format!("`{scope}`")).collect();
            let row = format!("| `{name}` | {} |", scopes.join(", "));
            assert!(readme.contains(&row), "{row}");
        }
    }

    #[test]
    fn every_service_accepts_its_settings() {
        let files = Files("/srv/care post/ü".into());
        let address = SocketAddr::from(([127, 0, 0, 1], 7601));
        carepost_eligibility::settings::Settings::embedded(&files.eligibility(address)).unwrap();
        carepost_messaging::settings::Settings::embedded(&files.messaging(address, address)).unwrap();
        carepost_notification::settings::Settings::embedded(&files.notification(address, address)).unwrap();
    }

    #[test]
    fn a_path_becomes_a_url_whatever_is_in_it() {
        let path = Path::new("/srv/care post/a.db");
        assert_eq!(database_url(path), "\"sqlite:///srv/care%20post/a.db?mode=rwc\"");
    }
}
