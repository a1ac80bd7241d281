//! A directory as the records of an import.

use carepost_proto::eligibility::v1::{
    self as proto, AccountStatus, Audience, BrandSeed, ConnectionStatus, ImportDirectoryRequest, MessagingSettings,
    MessagingSettingsSeed, RecordKind, Relationship, StaffRole, import_directory_request::Record,
};

use super::file::{Brand, Chart, Connection, DirectoryFile, Location, Messaging, Organization, PortalUser, Staff};

/// A record that says what no record can say.
#[derive(Debug, PartialEq, Eq)]
pub struct BadRecord {
    /// What it is.
    pub kind: RecordKind,
    /// Its id.
    pub id: String,
    /// What is wrong, with the path of the field.
    pub what: String,
}

/// What is in a file: records to send, and those that cannot be.
#[derive(Debug, Default)]
pub struct Records {
    /// In an order in which none is refused for want of another.
    pub good: Vec<ImportDirectoryRequest>,
    /// Those that cannot be sent.
    pub bad: Vec<BadRecord>,
}

impl From<DirectoryFile> for Records {
    /// The organization, its settings and brand, each location with its own, staff, charts, portal users.
    fn from(file: DirectoryFile) -> Self {
        let mut records = Self::default();
        let Organization { messaging, brand, .. } = &file.organization;
        let seeds = (settings(None, messaging.as_ref()), branding(None, brand.as_ref()));
        records.add(RecordKind::Organization, "", Ok(organization(file.organization)));
        records.seeds("", seeds);
        for entry in file.locations {
            let id = entry.id.clone();
            let seeds = (
                settings(Some(&id), entry.messaging.as_ref()),
                branding(Some(&id), entry.brand.as_ref()),
            );
            records.add(RecordKind::Location, &id, Ok(location(entry)));
            records.seeds(&id, seeds);
        }
        for entry in file.staff {
            let id = entry.id.clone();
            records.add(RecordKind::Staff, &id, staff(entry));
        }
        for entry in file.charts {
            let id = entry.id.clone();
            records.add(RecordKind::Chart, &id, Ok(chart(entry)));
        }
        for entry in file.portal_users {
            let id = entry.id.clone();
            records.add(RecordKind::PortalUser, &id, portal_user(entry));
        }
        records
    }
}

impl Records {
    fn add(&mut self, kind: RecordKind, id: &str, record: Result<Record, String>) {
        match record {
            Ok(record) => self.good.push(ImportDirectoryRequest {
                version: 0,
                record: Some(record),
            }),
            Err(what) => self.bad.push(BadRecord {
                kind,
                id: id.to_owned(),
                what,
            }),
        }
    }

    fn seeds(&mut self, id: &str, (settings, brand): (Option<Result<Record, String>>, Option<Record>)) {
        if let Some(settings) = settings {
            self.add(RecordKind::MessagingSettings, id, settings);
        }
        if let Some(brand) = brand {
            self.add(RecordKind::Brand, id, Ok(brand));
        }
    }
}

/// The organization.
pub fn organization(entry: Organization) -> Record {
    Record::Organization(proto::Organization {
        id: entry.id,
        name: entry.name,
        country: entry.country,
        portal_url: entry.portal_url,
        locale: entry.locale,
    })
}

/// A location.
pub fn location(entry: Location) -> Record {
    Record::Location(proto::Location {
        id: entry.id,
        name: entry.name,
        country: entry.country,
    })
}

fn settings(location: Option<&String>, entry: Option<&Messaging>) -> Option<Result<Record, String>> {
    let entry = entry?;
    let audience = value(
        "messaging.audience",
        "AUDIENCE",
        &entry.audience,
        Audience::from_str_name,
    );
    Some(audience.map(|audience| {
        Record::MessagingSettingsSeed(MessagingSettingsSeed {
            location_id: location.cloned(),
            settings: Some(MessagingSettings {
                enabled: entry.enabled,
                audience: audience.into(),
            }),
        })
    }))
}

fn branding(location: Option<&String>, entry: Option<&Brand>) -> Option<Record> {
    let entry = entry?;
    Some(Record::BrandSeed(BrandSeed {
        location_id: location.cloned(),
        brand: Some(proto::Brand {
            name: entry.name.clone(),
            logo_url: entry.logo_url.clone(),
            phone: entry.phone.clone(),
            neutral: entry.neutral,
            locale: entry.locale.clone(),
            portal_url: entry.portal_url.clone(),
        }),
    }))
}

/// A member of staff.
pub fn staff(entry: Staff) -> Result<Record, String> {
    let role = |role: &String| value("roles", "STAFF_ROLE", role, StaffRole::from_str_name).map(i32::from);
    Ok(Record::Staff(proto::Staff {
        roles: entry.roles.iter().map(role).collect::<Result<_, _>>()?,
        id: entry.id,
        name: entry.name,
        email: entry.email,
        active: entry.active,
        all_locations: entry.all_locations,
        location_ids: entry.locations,
    }))
}

/// A chart.
pub fn chart(entry: Chart) -> Record {
    Record::Chart(proto::Chart {
        id: entry.id,
        patient_id: entry.patient_id,
        patient_name: entry.patient_name,
        location_id: entry.location,
        care_team_ids: entry.care_team,
        barred_staff_ids: entry.barred_staff,
        url: entry.url,
    })
}

/// A portal user.
pub fn portal_user(entry: PortalUser) -> Result<Record, String> {
    let status = value("status", "ACCOUNT_STATUS", &entry.status, AccountStatus::from_str_name)?;
    Ok(Record::PortalUser(proto::PortalUser {
        connections: entry
            .connections
            .into_iter()
            .map(connection)
            .collect::<Result<_, _>>()?,
        id: entry.id,
        name: entry.name,
        email: entry.email,
        status: status.into(),
        locale: entry.locale,
    }))
}

fn connection(entry: Connection) -> Result<proto::Connection, String> {
    let relationship = value(
        "connections.relationship",
        "RELATIONSHIP",
        &entry.relationship,
        Relationship::from_str_name,
    )?;
    let status = value(
        "connections.status",
        "CONNECTION_STATUS",
        &entry.status,
        ConnectionStatus::from_str_name,
    )?;
    Ok(proto::Connection {
        chart_id: entry.chart,
        relationship: relationship.into(),
        status: status.into(),
    })
}

/// The value of a proto's enum that the files name in lower case and without its prefix.
fn value<T>(field: &str, prefix: &str, word: &str, parse: impl Fn(&str) -> Option<T>) -> Result<T, String> {
    let is_lower = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let known = is_lower && word != "unspecified";
    let value = known
        .then(|| parse(&format!("{prefix}_{}", word.to_uppercase())))
        .flatten();
    value.ok_or_else(|| format!("{field}: there is no `{}`", crate::render::clean(word, 60)))
}

/// What people call a kind of record.
pub fn name(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Unspecified => "record",
        RecordKind::Organization => "organization",
        RecordKind::Location => "location",
        RecordKind::Staff => "staff",
        RecordKind::Chart => "chart",
        RecordKind::PortalUser => "portal user",
        RecordKind::MessagingSettings => "messaging settings",
        RecordKind::Brand => "brand",
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::directory::file::parse;

    fn hospital(name: &str) -> String {
        let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/data"));
        std::fs::read_to_string(folder.join(name)).unwrap()
    }

    #[test]
    fn both_hospitals_become_imports_without_a_bad_record() {
        for (name, count) in [("prairie.directory.json", 168), ("southern.directory.json", 355)] {
            let records = Records::from(parse(name, hospital(name).as_bytes()).unwrap());
            assert_eq!(records.bad, []);
            assert!(records.good.len() >= count, "{}", records.good.len());
        }
    }

    #[test]
    fn a_bad_record_is_named_and_the_rest_is_kept() {
        let text = hospital("prairie.directory.json");
        let whole = Records::from(parse("a", text.as_bytes()).unwrap()).good.len();
        let text = text
            .replacen("\"super_admin\"", "\"emperor\"", 1)
            .replacen("\"guardian\"", "\"cousin\"", 1);
        let records = Records::from(parse("a", text.as_bytes()).unwrap());
        let told: Vec<_> = records
            .bad
            .iter()
            .map(|bad| (name(bad.kind), bad.what.as_str()))
            .collect();
        assert_eq!(
            told,
            [
                ("staff", "roles: there is no `emperor`"),
                ("portal user", "connections.relationship: there is no `cousin`")
            ]
        );
        assert_eq!(records.good.len(), whole - 2);
    }
}
