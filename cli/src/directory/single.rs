//! One record in the format of the files: read to be put, written to be shown.

use carepost_proto::eligibility::v1::{self as proto, import_directory_request::Record};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::{
    file::{Chart, Location, Organization, PortalUser, Staff},
    records,
};
use crate::{errors::Failure, render::word};

/// The kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// The organization.
    Organization,
    /// A site.
    Location,
    /// An EMR user.
    Staff,
    /// An episode of care.
    Chart,
    /// A login of a patient or contact.
    PortalUser,
}

/// Reads one record; the name is told with what is wrong in it.
pub fn parse(kind: Kind, name: &str, bytes: &[u8]) -> Result<Record, Failure> {
    let record = match kind {
        Kind::Organization => Ok(records::organization(entry::<Organization>(name, bytes)?)),
        Kind::Location => Ok(records::location(entry::<Location>(name, bytes)?)),
        Kind::Staff => records::staff(entry::<Staff>(name, bytes)?),
        Kind::Chart => Ok(records::chart(entry::<Chart>(name, bytes)?)),
        Kind::PortalUser => records::portal_user(entry::<PortalUser>(name, bytes)?),
    };
    record.map_err(|what| Failure::usage(format!("{name}: {what}"), "Nothing was written. Correct it"))
}

fn entry<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or_default();
        let place = format!("{name}:{}:{}", error.line(), error.column());
        Failure::usage(format!("{place}: {what}"), "Nothing was written. Correct it")
    })
}

/// The organization as a file has it.
pub fn organization(record: &proto::Organization) -> Value {
    json!({
        "id": record.id, "name": record.name, "country": record.country, "portal_url": record.portal_url,
        "locale": record.locale,
    })
}

/// A location as a file has it.
pub fn location(record: &proto::Location) -> Value {
    json!({"id": record.id, "name": record.name, "country": record.country})
}

/// A member of staff as a file has it.
pub fn staff(record: &proto::Staff) -> Value {
    let roles: Vec<_> = record
        .roles()
        .map(|role| word(role.as_str_name(), "STAFF_ROLE_").replace(' ', "_"))
        .collect();
    json!({
        "id": record.id, "name": record.name, "email": record.email, "active": record.active, "roles": roles,
        "all_locations": record.all_locations, "locations": record.location_ids,
    })
}

/// A chart as a file has it.
pub fn chart(record: &proto::Chart) -> Value {
    json!({
        "id": record.id, "patient_id": record.patient_id, "patient_name": record.patient_name,
        "location": record.location_id, "care_team": record.care_team_ids, "barred_staff": record.barred_staff_ids,
        "url": record.url,
    })
}

/// A portal user as a file has it.
pub fn portal_user(record: &proto::PortalUser) -> Value {
    let connections: Vec<_> = record
        .connections
        .iter()
        .map(|connection| {
            json!({
                "chart": connection.chart_id,
                "relationship": word(connection.relationship().as_str_name(), "RELATIONSHIP_"),
                "status": word(connection.status().as_str_name(), "CONNECTION_STATUS_"),
            })
        })
        .collect();
    json!({
        "id": record.id, "name": record.name, "email": record.email,
        "status": word(record.status().as_str_name(), "ACCOUNT_STATUS_").replace(' ', "_"),
        "connections": connections, "locale": record.locale,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_can_be_put_again() {
        let text = std::fs::read(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../tests/data/prairie.directory.json"
        ));
        let file: Value = serde_json::from_slice(&text.unwrap()).unwrap();
        for (list, kind) in [
            ("staff", Kind::Staff),
            ("charts", Kind::Chart),
            ("portal_users", Kind::PortalUser),
        ] {
            for entry in file[list].as_array().unwrap() {
                let record = parse(kind, "a", entry.to_string().as_bytes()).unwrap();
                let shown = match &record {
                    Record::Staff(record) => staff(record),
                    Record::Chart(record) => chart(record),
                    Record::PortalUser(record) => portal_user(record),
                    _ => unreachable!("only these were parsed"),
                };
                let again = parse(kind, "a", shown.to_string().as_bytes()).unwrap();
                assert_eq!(again, record);
            }
        }
    }

    #[test]
    fn a_record_that_is_wrong_is_told_with_its_place() {
        let failure = parse(Kind::Location, "a.json", b"{\"id\": 1}").unwrap_err();
        assert!(failure.to_string().starts_with("a.json:1:8: invalid type"), "{failure}");
    }
}
