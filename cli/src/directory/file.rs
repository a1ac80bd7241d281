//! The format of the file: JSON, and nothing in it that is not known here.

use std::{fs, path::Path};

use serde::Deserialize;

use crate::errors::Failure;

/// The largest file that is read, in bytes.
const MAX_FILE: u64 = 1_024 * 1_024 * 1_024;

/// A whole directory.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DirectoryFile {
    pub organization: Organization,
    pub locations: Vec<Location>,
    pub staff: Vec<Staff>,
    pub charts: Vec<Chart>,
    pub portal_users: Vec<PortalUser>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Organization {
    pub id: String,
    pub name: String,
    pub country: String,
    pub portal_url: String,
    #[serde(default)]
    pub locale: String,
    pub messaging: Option<Messaging>,
    pub brand: Option<Brand>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Location {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub country: String,
    pub messaging: Option<Messaging>,
    pub brand: Option<Brand>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Messaging {
    pub enabled: bool,
    pub audience: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Brand {
    pub name: String,
    #[serde(default)]
    pub logo_url: String,
    #[serde(default)]
    pub phone: String,
    #[serde(default)]
    pub neutral: bool,
    #[serde(default)]
    pub locale: String,
    #[serde(default)]
    pub portal_url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Staff {
    pub id: String,
    pub name: String,
    #[serde(default)]
    pub email: String,
    pub active: bool,
    pub roles: Vec<String>,
    pub all_locations: bool,
    pub locations: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Chart {
    pub id: String,
    pub patient_id: String,
    pub patient_name: String,
    pub location: String,
    pub care_team: Vec<String>,
    pub barred_staff: Vec<String>,
    #[serde(default)]
    pub url: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PortalUser {
    pub id: String,
    pub name: String,
    pub email: String,
    pub status: String,
    pub connections: Vec<Connection>,
    #[serde(default)]
    pub locale: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connection {
    pub chart: String,
    pub relationship: String,
    pub status: String,
}

impl DirectoryFile {
    /// Reads a file.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        let size = fs::metadata(path).map_err(|error| Failure::file(path, &error))?.len();
        if size > MAX_FILE {
            return Err(Failure::usage(
                format!("{} is larger than 1 GiB", path.display()),
                "Split it",
            ));
        }
        let bytes = fs::read(path).map_err(|error| Failure::file(path, &error))?;
        parse(&path.display().to_string(), &bytes)
    }
}

/// Reads a directory; the name is told with what is wrong in it.
pub fn parse(name: &str, bytes: &[u8]) -> Result<DirectoryFile, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        let next = "Nothing was imported. Correct the file and import it again";
        Failure::usage(format!("{name}:{line}:{column}: {what}"), next)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_told_with_line_and_column() {
        for (text, told) in [
            ("{\n \"organization\": {,\n", "a.json:2:19: key must be a string"),
            ("{\n \"organisation\": {}}", "a.json:2:15: unknown field `organisation`"),
            (
                "{\"organization\": {\"id\": 1}}",
                "a.json:1:25: invalid type: integer `1`, expected a string",
            ),
            ("", "a.json:1:0: EOF while parsing a value"),
        ] {
            let failure = parse("a.json", text.as_bytes()).unwrap_err().to_string();
            assert!(failure.starts_with(told) && failure.lines().count() == 1, "{failure}");
        }
    }
}
