//! Settings: annotated defaults in the binary, a file over them, the environment over both.
//!
//! A [`Reader`] hands out one typed value after the other and notes every fault it meets; [`Reader::finish`] then tells them
//! all at once, with every key that nobody asked for. So a process either has settings that are right as a whole, or does
//! not start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::SocketAddr,
    ops::RangeInclusive,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use config::{Config, Environment, File, FileFormat, Value, ValueKind};
use serde::de::DeserializeOwned;
use url::Url;

/// The environment variables that are settings begin with this; `CAREPOST_DATABASE__URL` is `database.url`.
const PREFIX: &str = "CAREPOST_";
const SEPARATOR: &str = "__";

/// Everything that is wrong with the settings, one line each.
#[derive(Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<String>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<_> = self.0.iter().map(|fault| format!("  - {fault}")).collect();
        write!(f, "The settings are not usable:\n{}", lines.join("\n"))
    }
}

impl std::error::Error for Faults {}

/// Reads settings, and notes what is wrong with them.
pub struct Reader {
    values: BTreeMap<String, Value>,
    asked: BTreeSet<String>,
    faults: Vec<String>,
}

impl Reader {
    /// Reads the defaults, then the file if there is one, then the environment of the process.
    ///
    /// # Errors
    /// If the file cannot be read, or one of the two is no TOML.
    pub fn load(defaults: &str, file: Option<&Path>) -> Result<Self, Faults> {
        #[allow(clippy::disallowed_methods, reason = "the one place where the environment enters")]
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self::from_parts(defaults, file, environment)
    }

    /// Reads the defaults, then a text over them, and not the environment: for a service inside another process.
    ///
    /// # Errors
    /// If one of the two is no TOML.
    pub fn embedded(defaults: &str, over: &str) -> Result<Self, Faults> {
        let sources = [defaults, over]
            .map(|text| File::from_str(text, FileFormat::Toml))
            .to_vec();
        let config = Config::builder().add_source(sources).build();
        config
            .map(|config| Self::of(&config))
            .map_err(|error| Faults(vec![error.to_string()]))
    }

    fn from_parts(defaults: &str, file: Option<&Path>, environment: BTreeMap<String, String>) -> Result<Self, Faults> {
        // Variables without a section are no settings: tools of the same prefix may have theirs.
        let ours = environment
            .into_iter()
            .filter(|(name, _)| name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains(SEPARATOR)));
        let mut builder = Config::builder().add_source(File::from_str(defaults, FileFormat::Toml));
        if let Some(path) = file {
            builder = builder.add_source(File::from(path).format(FileFormat::Toml));
        }
        let environment = Environment::with_prefix("CAREPOST")
            .prefix_separator("_")
            .separator(SEPARATOR)
            .source(Some(ours.collect()));
        let config = builder.add_source(environment).build();
        config
            .map(|config| Self::of(&config))
            .map_err(|error| Faults(vec![error.to_string()]))
    }

    fn of(config: &Config) -> Self {
        let mut values = BTreeMap::new();
        flatten("", &config.cache, &mut values);
        Self {
            values,
            asked: BTreeSet::new(),
            faults: Vec::new(),
        }
    }

    /// Notes a fault of a setting that was read.
    pub fn fault(&mut self, key: &str, what: impl fmt::Display) {
        self.faults.push(format!("{key}: {what}"));
    }

    /// A text that must not be empty.
    pub fn text(&mut self, key: &str) -> String {
        self.optional_text(key).unwrap_or_else(|| {
            self.fault(key, "is required");
            String::new()
        })
    }

    /// A text; empty or absent is none.
    pub fn optional_text(&mut self, key: &str) -> Option<String> {
        let value = self.take(key)?;
        match value.into_string() {
            Ok(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Err(_) => {
                self.fault(key, "must be a text");
                None
            }
        }
    }

    /// A text that some type parses: a URL, an address, an id.
    pub fn parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<T> {
        let text = self.optional_text(key);
        if text.is_none() {
            self.fault(key, "is required");
        }
        self.parse(key, text)
    }

    /// Like [`Reader::parsed`], for one that may be empty or absent.
    pub fn optional_parsed<T: FromStr<Err: fmt::Display>>(&mut self, key: &str) -> Option<T> {
        let text = self.optional_text(key);
        self.parse(key, text)
    }

    fn parse<T: FromStr<Err: fmt::Display>>(&mut self, key: &str, text: Option<String>) -> Option<T> {
        match text?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.fault(key, error);
                None
            }
        }
    }

    /// An address to listen on.
    pub fn address(&mut self, key: &str) -> SocketAddr {
        self.parsed(key).unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    /// A URL with one of these schemes.
    pub fn url(&mut self, key: &str, schemes: &[&str]) -> Option<Url> {
        let url: Url = self.parsed(key)?;
        if schemes.contains(&url.scheme()) {
            return Some(url);
        }
        self.fault(
            key,
            format!("must begin with one of: {}", schemes.join("://, ") + "://"),
        );
        None
    }

    /// A path; empty or absent is none.
    pub fn path(&mut self, key: &str) -> Option<PathBuf> {
        self.optional_text(key).map(PathBuf::from)
    }

    /// A whole number within bounds.
    pub fn number(&mut self, key: &str, bounds: RangeInclusive<u64>) -> u64 {
        let lowest = *bounds.start();
        let Some(value) = self.take(key) else {
            self.fault(key, "is required");
            return lowest;
        };
        match value.into_uint() {
            Ok(number) if bounds.contains(&number) => number,
            _ => {
                self.fault(
                    key,
                    format!("must be a whole number from {} to {}", lowest, bounds.end()),
                );
                lowest
            }
        }
    }

    /// A whole number within bounds, as the type that it is used as.
    pub fn count<T: TryFrom<u64> + Default>(&mut self, key: &str, bounds: RangeInclusive<u64>) -> T {
        let number = self.number(key, bounds);
        T::try_from(number).unwrap_or_else(|_| {
            self.fault(key, "is too large");
            T::default()
        })
    }

    /// A time span in milliseconds, within bounds; the key ends in `_ms`.
    pub fn milliseconds(&mut self, key: &str, bounds: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(key, bounds))
    }

    /// A time span in seconds, within bounds; the key ends in `_seconds`.
    pub fn seconds(&mut self, key: &str, bounds: RangeInclusive<u64>) -> Duration {
        Duration::from_secs(self.number(key, bounds))
    }

    /// Yes or no.
    pub fn flag(&mut self, key: &str) -> bool {
        let value = self.take(key).map(Value::into_bool);
        match value {
            Some(Ok(flag)) => flag,
            _ => {
                self.fault(key, "must be true or false");
                false
            }
        }
    }

    /// A list of entries, each read as a whole; absent is empty.
    pub fn list<T: DeserializeOwned>(&mut self, key: &str) -> Vec<T> {
        let Some(value) = self.take(key) else { return Vec::new() };
        match value.try_deserialize() {
            Ok(list) => list,
            Err(error) => {
                self.fault(key, error);
                Vec::new()
            }
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.asked.insert(key.to_owned());
        self.values.get(key).cloned()
    }

    /// Gives the settings out, if nothing was wrong with any of them.
    ///
    /// # Errors
    /// All faults: those of the values, and the keys that do not exist.
    pub fn finish<T>(mut self, settings: T) -> Result<T, Faults> {
        for key in self.values.keys().filter(|key| !self.asked.contains(*key)) {
            self.faults.push(format!("{key}: there is no such setting"));
        }
        if self.faults.is_empty() {
            Ok(settings)
        } else {
            Err(Faults(self.faults))
        }
    }
}

/// The leaves of a tree of tables by their path; a list is a leaf.
fn flatten(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
    let ValueKind::Table(table) = &value.kind else {
        into.insert(path.to_owned(), value.clone());
        return;
    };
    for (key, value) in table {
        let path = if path.is_empty() {
            key.clone()
        } else {
            format!("{path}.{key}")
        };
        flatten(&path, value, into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULTS: &str = "[database]\nurl = \"\"\nconnections = 10\n[server]\nlisten = \"127.0.0.1:1\"\n";

    fn reader(environment: &[(&str, &str)]) -> Reader {
        let environment = environment
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        Reader::from_parts(DEFAULTS, None, environment).unwrap()
    }

    fn read(mut reader: Reader) -> Result<(Option<Url>, u32, SocketAddr), Faults> {
        let settings = (
            reader.url("database.url", &["postgres"]),
            reader.count("database.connections", 1..=100),
            reader.address("server.listen"),
        );
        reader.finish(settings)
    }

    #[test]
    fn the_environment_is_over_the_defaults() {
        let read = read(reader(&[
            ("CAREPOST_DATABASE__URL", "postgres://db/messaging"),
            ("CAREPOST_DATABASE__CONNECTIONS", "7"),
            ("CAREPOST_SOMETHING", "that is no setting"),
        ]));
        let (url, connections, _) = read.unwrap();
        assert_eq!((url.unwrap().as_str(), connections), ("postgres://db/messaging", 7));
    }

    #[test]
    fn every_fault_is_told_at_once() {
        let faults = read(reader(&[
            ("CAREPOST_DATABASE__CONNECTIONS", "0"),
            ("CAREPOST_SERVER__LISTEN", "nowhere"),
            ("CAREPOST_SERVER__LISTNE", "127.0.0.1:2"),
        ]))
        .unwrap_err();
        let keys: Vec<_> = faults.0.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(
            keys,
            ["database.url", "database.connections", "server.listen", "server.listne"]
        );
    }

    #[test]
    fn a_url_of_another_scheme_is_a_fault() {
        let faults = read(reader(&[("CAREPOST_DATABASE__URL", "mysql://db/messaging")])).unwrap_err();
        assert!(faults.0[0].contains("postgres://"), "{faults}");
    }
}
