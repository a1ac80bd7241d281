//! Directories in JSON files, as the requests that import them.

use std::path::{Path, PathBuf};

use carepost_proto::eligibility::v1::import_directory_request::Record;
use carepost_proto::eligibility::v1::{
    AccountStatus, Audience, Brand, BrandSeed, Chart, Connection, ConnectionStatus, ImportDirectoryRequest, Location,
    MessagingSettings, MessagingSettingsSeed, Organization, PortalUser, Relationship, Staff, StaffRole,
};
use serde::Deserialize;

/// A whole directory, as a `*.directory.json` file or a set of the eligibility vectors holds it.
#[derive(Clone, Deserialize)]
pub struct DirectoryFile {
    organization: OrganizationEntry,
    locations: Vec<LocationEntry>,
    staff: Vec<StaffEntry>,
    charts: Vec<ChartEntry>,
    portal_users: Vec<PortalUserEntry>,
}

#[derive(Clone, Deserialize)]
struct OrganizationEntry {
    id: String,
    name: String,
    country: Option<String>,
    portal_url: Option<String>,
    #[serde(default)]
    locale: String,
    messaging: Option<MessagingEntry>,
    brand: Option<BrandEntry>,
}

#[derive(Clone, Deserialize)]
struct LocationEntry {
    id: String,
    name: String,
    #[serde(default)]
    country: String,
    messaging: Option<MessagingEntry>,
    brand: Option<BrandEntry>,
}

#[derive(Clone, Deserialize)]
struct MessagingEntry {
    enabled: bool,
    audience: String,
}

#[derive(Clone, Deserialize)]
struct BrandEntry {
    name: String,
    #[serde(default)]
    logo_url: String,
    #[serde(default)]
    phone: String,
    #[serde(default)]
    neutral: bool,
}

#[derive(Clone, Deserialize)]
struct StaffEntry {
    id: String,
    name: String,
    #[serde(default)]
    email: String,
    active: bool,
    roles: Vec<String>,
    all_locations: bool,
    locations: Vec<String>,
}

#[derive(Clone, Deserialize)]
struct ChartEntry {
    id: String,
    patient_id: String,
    patient_name: String,
    location: String,
    care_team: Vec<String>,
    barred_staff: Vec<String>,
    #[serde(default)]
    url: String,
}

#[derive(Clone, Deserialize)]
struct PortalUserEntry {
    id: String,
    name: String,
    email: String,
    status: String,
    connections: Vec<ConnectionEntry>,
    #[serde(default)]
    locale: String,
}

#[derive(Clone, Deserialize)]
struct ConnectionEntry {
    chart: String,
    relationship: String,
    status: String,
}

impl DirectoryFile {
    /// Reads a file.
    ///
    /// # Panics
    /// If it cannot be read or is no directory.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        read_json(path)
    }

    /// The hospital in the US of `tests/data`: care team only, 57 charts.
    #[must_use]
    pub fn prairie() -> Self {
        Self::read(&test_data("prairie.directory.json"))
    }

    /// The hospital in Australia of `tests/data`: 89 charts.
    #[must_use]
    pub fn southern() -> Self {
        Self::read(&test_data("southern.directory.json"))
    }

    /// Id of the organization.
    #[must_use]
    pub fn organization_id(&self) -> &str {
        &self.organization.id
    }

    /// The same directory as another organization's.
    #[must_use]
    pub fn with_organization_id(mut self, id: &str) -> Self {
        id.clone_into(&mut self.organization.id);
        self
    }

    /// The requests of an import, in an order in which none is refused: the organization, its seeds, each location with its
    /// seeds, staff, charts, portal users. They have no version.
    ///
    /// # Panics
    /// If a role, state or relationship is not one of the protos'.
    #[must_use]
    pub fn import_requests(&self) -> Vec<ImportDirectoryRequest> {
        let mut records = vec![Record::Organization(self.organization.record())];
        records.extend(seeds(
            None,
            self.organization.messaging.as_ref(),
            self.organization.brand.as_ref(),
        ));
        for location in &self.locations {
            records.push(Record::Location(location.record()));
            records.extend(seeds(
                Some(&location.id),
                location.messaging.as_ref(),
                location.brand.as_ref(),
            ));
        }
        records.extend(self.staff.iter().map(|staff| Record::Staff(staff.record())));
        records.extend(self.charts.iter().map(|chart| Record::Chart(chart.record())));
        records.extend(self.portal_users.iter().map(|user| Record::PortalUser(user.record())));
        records
            .into_iter()
            .map(|record| ImportDirectoryRequest {
                version: 0,
                record: Some(record),
            })
            .collect()
    }
}

fn seeds(location: Option<&String>, messaging: Option<&MessagingEntry>, brand: Option<&BrandEntry>) -> Vec<Record> {
    let location_id = location.cloned();
    let messaging = messaging.map(|entry| MessagingSettingsSeed {
        location_id: location_id.clone(),
        settings: Some(MessagingSettings {
            enabled: entry.enabled,
            audience: entry.audience(),
        }),
    });
    let brand = brand.map(|entry| BrandSeed {
        location_id,
        brand: Some(entry.record()),
    });
    messaging
        .map(Record::MessagingSettingsSeed)
        .into_iter()
        .chain(brand.map(Record::BrandSeed))
        .collect()
}

impl OrganizationEntry {
    fn record(&self) -> Organization {
        let portal_url = self
            .portal_url
            .clone()
            .unwrap_or_else(|| "https://portal.example.org/messages".to_owned());
        let country = self.country.clone().unwrap_or_else(|| "US".to_owned());
        Organization {
            id: self.id.clone(),
            name: self.name.clone(),
            country,
            portal_url,
            locale: self.locale.clone(),
        }
    }
}

impl LocationEntry {
    fn record(&self) -> Location {
        Location {
            id: self.id.clone(),
            name: self.name.clone(),
            country: self.country.clone(),
        }
    }
}

impl MessagingEntry {
    fn audience(&self) -> i32 {
        value("AUDIENCE", &self.audience, Audience::from_str_name) as i32
    }
}

impl BrandEntry {
    fn record(&self) -> Brand {
        Brand {
            name: self.name.clone(),
            logo_url: self.logo_url.clone(),
            phone: self.phone.clone(),
            neutral: self.neutral,
            ..Brand::default()
        }
    }
}

impl StaffEntry {
    fn record(&self) -> Staff {
        let role = |role: &String| value("STAFF_ROLE", role, StaffRole::from_str_name) as i32;
        Staff {
            id: self.id.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            active: self.active,
            roles: self.roles.iter().map(role).collect(),
            all_locations: self.all_locations,
            location_ids: self.locations.clone(),
        }
    }
}

impl ChartEntry {
    fn record(&self) -> Chart {
        Chart {
            id: self.id.clone(),
            patient_id: self.patient_id.clone(),
            patient_name: self.patient_name.clone(),
            location_id: self.location.clone(),
            care_team_ids: self.care_team.clone(),
            barred_staff_ids: self.barred_staff.clone(),
            url: self.url.clone(),
        }
    }
}

impl PortalUserEntry {
    fn record(&self) -> PortalUser {
        PortalUser {
            id: self.id.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            status: value("ACCOUNT_STATUS", &self.status, AccountStatus::from_str_name) as i32,
            connections: self.connections.iter().map(ConnectionEntry::record).collect(),
            locale: self.locale.clone(),
        }
    }
}

impl ConnectionEntry {
    fn record(&self) -> Connection {
        Connection {
            chart_id: self.chart.clone(),
            relationship: value("RELATIONSHIP", &self.relationship, Relationship::from_str_name) as i32,
            status: value("CONNECTION_STATUS", &self.status, ConnectionStatus::from_str_name) as i32,
        }
    }
}

/// The enum value that the files name in lower case and without its prefix.
fn value<T>(prefix: &str, name: &str, parse: impl Fn(&str) -> Option<T>) -> T {
    parse(&format!("{prefix}_{}", name.to_uppercase())).unwrap_or_else(|| panic!("{name} is no {prefix}"))
}

/// A file of `tests/data` in the workspace.
pub(crate) fn test_data(name: &str) -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data")).join(name)
}

pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_hospitals_become_imports_with_every_record_once_and_references_first() {
        let rank = |record: &Record| match record {
            Record::Organization(_) => 0,
            Record::Location(_) | Record::MessagingSettingsSeed(_) | Record::BrandSeed(_) => 1,
            Record::Staff(_) => 2,
            Record::Chart(_) => 3,
            Record::PortalUser(_) => 4,
            Record::Options(_) | Record::Trailer(_) => 5,
        };
        for (directory, counts) in [
            (DirectoryFile::prairie(), [1, 43, 57, 16]),
            (DirectoryFile::southern(), [1, 90, 89, 129]),
        ] {
            let records: Vec<Record> = directory
                .import_requests()
                .into_iter()
                .map(|request| request.record.unwrap())
                .collect();
            assert!(records.is_sorted_by_key(rank));
            assert_eq!(
                [0, 2, 3, 4].map(|wanted| records.iter().filter(|record| rank(record) == wanted).count()),
                counts
            );
            let general =
                |record: &&Record| matches!(record, Record::MessagingSettingsSeed(seed) if seed.location_id.is_none());
            assert_eq!(records.iter().filter(general).count(), 1);
        }
    }

    #[test]
    fn what_a_file_leaves_out_gets_a_harmless_default_and_the_organization_can_be_renamed() {
        let json = r#"{"organization": {"id": "a", "name": "A", "messaging": null}, "locations": [], "staff": [], "charts": [],
            "portal_users": []}"#;
        let directory: DirectoryFile = serde_json::from_str(json).unwrap();
        let requests = directory.with_organization_id("b").import_requests();
        let [
            ImportDirectoryRequest {
                record: Some(Record::Organization(organization)),
                version: 0,
            },
        ] = &requests[..]
        else {
            panic!("one organization without seeds: {}", requests.len())
        };
        assert_eq!((organization.id.as_str(), organization.country.as_str()), ("b", "US"));
        assert!(organization.portal_url.starts_with("https://"));
    }
}
