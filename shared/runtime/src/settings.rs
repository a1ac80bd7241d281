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

use config::Value;
use serde::de::DeserializeOwned;
use url::Url;

mod sources;

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
        Ok(Self::of(sources::embedded(defaults, over)?))
    }

    fn from_parts(defaults: &str, file: Option<&Path>, environment: BTreeMap<String, String>) -> Result<Self, Faults> {
        Ok(Self::of(sources::merged(defaults, file, environment)?))
    }

    fn of(values: BTreeMap<String, Value>) -> Self {
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

    /// A text that may be a secret: given as it is, or as the path of a file that holds it, in the setting of the same name with
    /// `_file` at its end. Empty or absent is none. Spaces and line ends around it do not count.
    pub fn secret(&mut self, key: &str) -> Option<String> {
        let given = self.optional_text(key);
        let file_key = format!("{key}_file");
        let Some(file) = self.path(&file_key) else { return given };
        if given.is_some() {
            self.fault(&file_key, format!("and {key} exclude each other"));
            return None;
        }
        match sources::secret(&file) {
            Ok(text) if !text.is_empty() => Some(text),
            Ok(_) => {
                self.fault(&file_key, "the file is empty");
                None
            }
            Err(error) => {
                self.fault(&file_key, format!("{} cannot be read: {error}", file.display()));
                None
            }
        }
    }

    /// A URL with one of these schemes, which may hold a password: a [`Reader::secret`].
    pub fn secret_url(&mut self, key: &str, schemes: &[&str]) -> Option<Url> {
        let faults = self.faults.len();
        let text = self.secret(key);
        if text.is_none() && self.faults.len() == faults {
            self.fault(key, "is required");
        }
        let url = self.parse(key, text)?;
        self.of_scheme(key, url, schemes)
    }

    /// A URL with one of these schemes.
    pub fn url(&mut self, key: &str, schemes: &[&str]) -> Option<Url> {
        let url: Url = self.parsed(key)?;
        self.of_scheme(key, url, schemes)
    }

    fn of_scheme(&mut self, key: &str, url: Url, schemes: &[&str]) -> Option<Url> {
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
        let Ok(entries) = value.into_array() else {
            self.fault(key, "must be a list");
            return Vec::new();
        };
        let mut list = Vec::new();
        for (place, entry) in entries.into_iter().enumerate() {
            match entry.try_deserialize() {
                Ok(entry) => list.push(entry),
                Err(error) => self.fault(&format!("{key}[{place}]"), error),
            }
        }
        list
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.asked.insert(key.to_owned());
        self.values.get(key).cloned()
    }

    /// As [`Reader::finish`], for who reads some sections alone: what the others hold does not matter.
    ///
    /// # Errors
    /// All faults of the sections of which something was read.
    pub fn finish_part<T>(mut self, settings: T) -> Result<T, Faults> {
        let section = |key: &str| key.split('.').next().unwrap_or_default().to_owned();
        let read: BTreeSet<_> = self.asked.iter().map(|key| section(key)).collect();
        self.values.retain(|key, _| read.contains(&section(key)));
        self.finish(settings)
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

#[cfg(test)]
mod tests {
    use std::fs;

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
    fn a_secret_is_read_from_a_file_as_kubernetes_mounts_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let read = |over: &str| {
            let mut reader = Reader::embedded("[database]\nurl = \"\"\nurl_file = \"\"\n", over).unwrap();
            let url = reader.secret_url("database.url", &["postgres"]);
            reader.finish(url).map_err(|faults| faults.0)
        };
        let named = format!("database.url_file = {:?}", file.path());
        assert_eq!(
            read(&named),
            Err(vec!["database.url_file: the file is empty".to_owned()])
        );
        fs::write(file.path(), "postgres://a:hunter2@db/messaging\n").unwrap();
        let url = read(&named).unwrap().unwrap();
        assert_eq!(url.as_str(), "postgres://a:hunter2@db/messaging");

        let both = format!("{named}\ndatabase.url = \"postgres://db/other\"");
        let told = read(&both).unwrap_err();
        assert_eq!(told, ["database.url_file: and database.url exclude each other"]);
        assert_eq!(read("").unwrap_err(), ["database.url: is required"]);
        let missing = read("database.url_file = \"/nowhere/at/all\"").unwrap_err();
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert!(
            missing[0].starts_with("database.url_file: /nowhere/at/all cannot be read"),
            "{missing:?}"
        );
        fs::write(file.path(), "hunter2").unwrap();
        let told = read(&named).unwrap_err();
        assert!(told.len() == 1 && !told[0].contains("hunter2"), "{told:?}");
    }

    #[test]
    fn who_reads_one_section_does_not_mind_the_others() {
        let part = |over: &str| {
            let mut reader = Reader::embedded(DEFAULTS, over).unwrap();
            let count: u32 = reader.count("database.connections", 1..=100);
            let _ = reader.optional_text("database.url");
            reader.finish_part(count)
        };
        assert_eq!(part("[server]\nlisten = 7\nnonsense = true"), Ok(10));
        let faults = part("[database]\nconnections = \"many\"\nnonsense = true").unwrap_err();
        assert_eq!(faults.0.len(), 2, "{faults}");
    }

    #[test]
    fn every_entry_of_a_list_is_told() {
        let mut reader = Reader::embedded("list = [1, \"two\", 3, \"four\"]", "").unwrap();
        let _: Vec<u32> = reader.list("list");
        let faults = reader.finish(()).unwrap_err();
        let keys: Vec<_> = faults.0.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(keys, ["list[1]", "list[3]"]);
    }

    #[test]
    fn a_url_of_another_scheme_is_a_fault() {
        let faults = read(reader(&[("CAREPOST_DATABASE__URL", "mysql://db/messaging")])).unwrap_err();
        assert!(faults.0[0].contains("postgres://"), "{faults}");
    }
}
