//! Where settings come from, and which wins.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _},
    path::Path,
};

use config::{Config, ConfigError, Environment, File, FileFormat, Value, ValueKind};

use super::Faults;

/// The environment variables that are settings begin with this; `CAREPOST_DATABASE__URL` is `database.url`.
const PREFIX: &str = "CAREPOST_";
const SEPARATOR: &str = "__";

/// The defaults, then the file if there is one, then the environment; by key.
pub(super) fn merged(
    defaults: &str,
    file: Option<&Path>,
    environment: BTreeMap<String, String>,
) -> Result<BTreeMap<String, Value>, Faults> {
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
    by_key(builder.add_source(environment).build())
}

/// The defaults, then a text; by key.
pub(super) fn embedded(defaults: &str, over: &str) -> Result<BTreeMap<String, Value>, Faults> {
    let sources = [defaults, over]
        .map(|text| File::from_str(text, FileFormat::Toml))
        .to_vec();
    by_key(Config::builder().add_source(sources).build())
}

fn by_key(config: Result<Config, ConfigError>) -> Result<BTreeMap<String, Value>, Faults> {
    let config = config.map_err(|error| Faults(vec![error.to_string()]))?;
    let mut values = BTreeMap::new();
    flatten("", &config.cache, &mut values);
    Ok(values)
}

/// Larger files hold no secret that is meant here.
const MAX_SECRET_BYTES: u64 = 64 * 1_024;

/// The secret in a file, without spaces and line ends around it.
pub(super) fn secret(file: &Path) -> Result<String, io::ErrorKind> {
    let mut text = String::new();
    let opened = fs::File::open(file).map_err(|error| error.kind())?;
    let read = opened.take(MAX_SECRET_BYTES).read_to_string(&mut text);
    read.map_err(|error| error.kind())?;
    Ok(text.trim().to_owned())
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
