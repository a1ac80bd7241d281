//! The databases that operators' commands read themselves, without a service.

use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
    time::Duration,
};

use carepost_identity::OrganizationId;
use clap::{Args, ValueEnum};
use sea_orm::{ConnectOptions, Database, DatabaseConnection};
use url::Url;

use crate::{
    args::Globals,
    errors::{Exit, Failure},
    profile::{self, TokenSource},
    run::settings::Files,
};

/// How long a database may take to answer at first.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest file with a URL, in bytes.
const MAX_URL: u64 = 4_096;

/// Whose database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Of {
    Messaging,
    Eligibility,
    Notification,
}

impl Of {
    fn name(self) -> &'static str {
        match self {
            Self::Messaging => "messaging",
            Self::Eligibility => "eligibility",
            Self::Notification => "notification",
        }
    }
}

/// Which database, if not one of the profile's `data`.
#[derive(Debug, Args)]
pub struct DatabaseArgs {
    /// URL of a service's database: postgres:// or sqlite:///folder/messaging.db [default: of the profile's `data`].
    #[arg(
        long,
        global = true,
        env = "CAREPOST_DATABASE__URL",
        hide_env_values = true,
        value_name = "URL"
    )]
    database: Option<Url>,
    /// A file with that URL, as Kubernetes mounts a Secret.
    #[arg(
        long,
        global = true,
        env = "CAREPOST_DATABASE__URL_FILE",
        value_name = "FILE",
        conflicts_with = "database"
    )]
    database_file: Option<PathBuf>,
}

/// A database, and what it is called.
pub struct Place {
    /// Its name, for who reads.
    pub name: String,
    url: Url,
}

impl DatabaseArgs {
    /// Whether one is named.
    pub fn is_given(&self) -> bool {
        self.database.is_some() || self.database_file.is_some()
    }

    /// The one that is named, else this service's of the profile's `data`.
    pub fn place(&self, globals: &Globals, of: Of) -> Result<Place, Failure> {
        let url = match (&self.database, &self.database_file) {
            (Some(url), _) => url.clone(),
            (None, Some(file)) => url_in(file)?,
            (None, None) => return of_profile(globals, of),
        };
        if !["postgres", "postgresql", "sqlite"].contains(&url.scheme()) {
            let what = "The URL of a database must begin with postgres:// or sqlite://";
            return Err(Failure::usage(what, "Correct it"));
        }
        let name = url.path().rsplit('/').next().unwrap_or_default().to_owned();
        Ok(Place { name, url })
    }
}

fn url_in(file: &Path) -> Result<Url, Failure> {
    let mut text = String::new();
    let opened = File::open(file).map_err(|error| Failure::file(file, &error))?;
    let read = opened.take(MAX_URL).read_to_string(&mut text);
    read.map_err(|error| Failure::file(file, &error))?;
    let url = text.trim().parse();
    url.map_err(|_| Failure::usage(format!("{} holds no URL of a database", file.display()), "Correct it"))
}

fn of_profile(globals: &Globals, of: Of) -> Result<Place, Failure> {
    let file = globals.profiles.clone().map_or_else(profile::default_file, Ok)?;
    let profile = profile::read(&file, &globals.profile)?;
    let TokenSource::Folder(folder) = &profile.tokens else {
        return Err(Failure::usage(
            format!("The profile `{}` does not tell where the databases are", profile.name),
            "Set CAREPOST_DATABASE__URL, or add --database",
        ));
    };
    let folder = folder.canonicalize().map_err(|error| Failure::file(folder, &error))?;
    let url = Files(folder).existing_database_url(of.name()).parse();
    let url = url.map_err(|_| Failure::usage("The path of the data cannot be used", "Use another --data"))?;
    let name = of.name().to_owned();
    Ok(Place { name, url })
}

impl Place {
    /// Connects to it.
    pub async fn open(&self) -> Result<DatabaseConnection, Failure> {
        let mut options = ConnectOptions::new(self.url.as_str());
        options
            .max_connections(1)
            .connect_timeout(PATIENCE)
            .acquire_timeout(PATIENCE)
            .sqlx_logging(false);
        // What the library says may hold the URL with its password.
        Database::connect(options).await.map_err(|_| self.unanswered())
    }

    /// That it cannot be used.
    pub fn unanswered(&self) -> Failure {
        Failure::new(
            Exit::Unavailable,
            "UNAVAILABLE",
            format!("The database {} cannot be used", self.name),
            "Check its URL, whether it runs, and whether `migrate` of this version was run on it",
        )
    }
}

/// The trail tells who the operator was, by an id.
pub fn must_be_named(operator: &str) -> Result<(), Failure> {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || "-._".contains(letter);
    if (1..=64).contains(&operator.len()) && operator.chars().all(fits) {
        return Ok(());
    }
    Err(Failure::usage(
        "--operator must have 1 to 64 letters, digits, - . or _",
        "Use the id that your organization knows you by",
    ))
}

/// The organization whose data are handed out: a hospital's are not another's.
pub fn organization(globals: &Globals) -> Result<OrganizationId, Failure> {
    if let Some(organization) = &globals.organization {
        return Ok(organization.clone());
    }
    let file = globals.profiles.clone().map_or_else(profile::default_file, Ok)?;
    let organization = profile::read(&file, &globals.profile)?.organization;
    organization.ok_or_else(|| Failure::usage("No organization is named", "Add --organization"))
}
