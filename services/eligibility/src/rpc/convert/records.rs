//! The records of the directory.

use std::collections::BTreeMap;

use carepost_identity::{ChartId, LocationId, OrganizationId, PortalUserId, StaffId};
use carepost_proto::eligibility::v1 as proto;
use carepost_rpc::Violations;

use super::{
    fields::{Fields, MAX_ENTRIES, MAX_NOTED},
    words::{
        account_status, connection_status, from_account_status, from_connection_status, from_relationship, from_role,
        relationship, role, timestamp, version,
    },
};
use crate::domain::directory::{
    AccountStatus, Chart, Connection, Country, Email, Kept, Locale, Location, Name, Organization, PatientId,
    PortalUser, Staff, WebUrl,
};

/// The most roles of one member of staff.
const MAX_ROLES: usize = 16;
const REQUIRED: &str = "is required";

/// The organization of the call; any other is wrong.
pub(in crate::rpc) fn organization(
    violations: &mut Violations,
    caller: &OrganizationId,
    record: Option<proto::Organization>,
) -> Option<Organization> {
    let Some(record) = record else {
        violations.add("organization", REQUIRED);
        return None;
    };
    let mut fields = Fields::of(violations, "organization");
    let id = fields.take("id", OrganizationId::parse(record.id));
    let foreign = id.as_ref().is_some_and(|id| id != caller);
    if foreign {
        fields.add("id", "must be the organization of the call");
    }
    let name = fields.take("name", Name::parse(record.name));
    let country = fields.take("country", Country::parse(record.country));
    let portal_url = fields.take("portal_url", WebUrl::parse(record.portal_url));
    let locale = fields.optional("locale", record.locale, Locale::parse);
    Some(Organization {
        id: id.filter(|_| !foreign)?,
        name: name?,
        country: country?,
        portal_url: portal_url?,
        locale: locale?,
    })
}

/// A location.
pub(in crate::rpc) fn location(violations: &mut Violations, record: Option<proto::Location>) -> Option<Location> {
    let Some(record) = record else {
        violations.add("location", REQUIRED);
        return None;
    };
    let mut fields = Fields::of(violations, "location");
    let id = fields.take("id", LocationId::parse(record.id));
    let name = fields.take("name", Name::parse(record.name));
    let country = fields.optional("country", record.country, Country::parse);
    Some(Location {
        id: id?,
        name: name?,
        country: country?,
    })
}

/// A member of staff.
pub(in crate::rpc) fn staff(violations: &mut Violations, record: Option<proto::Staff>) -> Option<Staff> {
    let Some(record) = record else {
        violations.add("staff", REQUIRED);
        return None;
    };
    let mut fields = Fields::of(violations, "staff");
    let id = fields.take("id", StaffId::parse(record.id));
    let name = fields.take("name", Name::parse(record.name));
    let email = fields.optional("email", record.email, Email::parse);
    let known = |number| role(number).ok_or("must be one of the values that there are");
    let roles = fields.set("roles", record.roles, MAX_ROLES, known);
    let locations = fields.set("location_ids", record.location_ids, MAX_ENTRIES, LocationId::parse);
    Some(Staff {
        id: id?,
        name: name?,
        email: email?,
        active: record.active,
        roles: roles?,
        all_locations: record.all_locations,
        locations: locations?,
    })
}

/// A chart.
pub(in crate::rpc) fn chart(violations: &mut Violations, record: Option<proto::Chart>) -> Option<Chart> {
    let Some(record) = record else {
        violations.add("chart", REQUIRED);
        return None;
    };
    let mut fields = Fields::of(violations, "chart");
    let id = fields.take("id", ChartId::parse(record.id));
    let patient_id = fields.take("patient_id", PatientId::parse(record.patient_id));
    let patient_name = fields.take("patient_name", Name::parse(record.patient_name));
    let location = fields.take("location_id", LocationId::parse(record.location_id));
    let care_team = fields.set("care_team_ids", record.care_team_ids, MAX_ENTRIES, StaffId::parse);
    let barred = fields.set("barred_staff_ids", record.barred_staff_ids, MAX_ENTRIES, StaffId::parse);
    let url = fields.optional("url", record.url, WebUrl::parse);
    Some(Chart {
        id: id?,
        patient_id: patient_id?,
        patient_name: patient_name?,
        location: location?,
        care_team: care_team?,
        barred: barred?,
        url: url?,
    })
}

/// A portal user.
pub(in crate::rpc) fn portal_user(
    violations: &mut Violations,
    record: Option<proto::PortalUser>,
) -> Option<PortalUser> {
    let Some(record) = record else {
        violations.add("portal_user", REQUIRED);
        return None;
    };
    let mut fields = Fields::of(violations, "portal_user");
    let id = fields.take("id", PortalUserId::parse(record.id));
    let name = fields.take("name", Name::parse(record.name));
    let status = fields.word("status", account_status(record.status));
    if record.email.is_empty() && status == Some(AccountStatus::Active) {
        fields.add("email", "is required once the account is active");
        return None;
    }
    let email = fields.optional("email", record.email, Email::parse);
    let connections = connections(&mut fields, record.connections);
    let locale = fields.optional("locale", record.locale, Locale::parse);
    Some(PortalUser {
        id: id?,
        name: name?,
        email: email?,
        status: status?,
        connections: connections?,
        locale: locale?,
    })
}

fn connections(fields: &mut Fields<'_>, entries: Vec<proto::Connection>) -> Option<BTreeMap<ChartId, Connection>> {
    if entries.len() > MAX_ENTRIES {
        fields.add("connections", format!("must have at most {MAX_ENTRIES} entries"));
        return None;
    }
    let mut connections = BTreeMap::new();
    let mut wrong = 0;
    for (place, entry) in entries.into_iter().enumerate() {
        let path = format!("connections[{place}]");
        match connection(fields, &path, entry) {
            Some((chart, connection)) if !connections.contains_key(&chart) => {
                connections.insert(chart, connection);
                continue;
            }
            Some(_) => fields.add(&format!("{path}.chart_id"), "came before"),
            None => {}
        }
        wrong += 1;
        if wrong == MAX_NOTED {
            break;
        }
    }
    (wrong == 0).then_some(connections)
}

fn connection(fields: &mut Fields<'_>, path: &str, entry: proto::Connection) -> Option<(ChartId, Connection)> {
    let chart = fields.take(&format!("{path}.chart_id"), ChartId::parse(entry.chart_id));
    let relationship = fields.word(&format!("{path}.relationship"), relationship(entry.relationship));
    let status = fields.word(&format!("{path}.status"), connection_status(entry.status));
    let connection = Connection {
        relationship: relationship?,
        status: status?,
    };
    Some((chart?, connection))
}

/// A record as it is kept, on the wire: that of a tombstone whose record never came is its id alone.
macro_rules! kept {
    ($function:ident: $domain:ident => $record:ident { $field:ident } by $message:ident) => {
        /// A record as it is kept, on the wire.
        pub(in crate::rpc) fn $function(kept: Kept<$domain>) -> proto::$record {
            let id = kept.id;
            let record = kept.record.map($message).unwrap_or_else(|| proto::$domain {
                id,
                ..Default::default()
            });
            proto::$record {
                $field: Some(record),
                version: Some(version(kept.version)),
                deleted: kept.deleted,
                update_time: Some(timestamp(kept.updated_at)),
            }
        }
    };
}

kept!(organization_record: Organization => OrganizationRecord { organization } by organization_message);
kept!(location_record: Location => LocationRecord { location } by location_message);
kept!(staff_record: Staff => StaffRecord { staff } by staff_message);
kept!(chart_record: Chart => ChartRecord { chart } by chart_message);
kept!(portal_user_record: PortalUser => PortalUserRecord { portal_user } by portal_user_message);

fn organization_message(record: Organization) -> proto::Organization {
    proto::Organization {
        id: record.id.into(),
        name: record.name.into(),
        country: record.country.into(),
        portal_url: record.portal_url.into(),
        locale: record.locale.map(String::from).unwrap_or_default(),
    }
}

fn location_message(record: Location) -> proto::Location {
    proto::Location {
        id: record.id.into(),
        name: record.name.into(),
        country: record.country.map(String::from).unwrap_or_default(),
    }
}

fn staff_message(record: Staff) -> proto::Staff {
    proto::Staff {
        id: record.id.into(),
        name: record.name.into(),
        email: record.email.map(String::from).unwrap_or_default(),
        active: record.active,
        roles: record.roles.into_iter().map(from_role).collect(),
        all_locations: record.all_locations,
        location_ids: record.locations.into_iter().map(String::from).collect(),
    }
}

fn chart_message(record: Chart) -> proto::Chart {
    proto::Chart {
        id: record.id.into(),
        patient_id: record.patient_id.into(),
        patient_name: record.patient_name.into(),
        location_id: record.location.into(),
        care_team_ids: record.care_team.into_iter().map(String::from).collect(),
        barred_staff_ids: record.barred.into_iter().map(String::from).collect(),
        url: record.url.map(String::from).unwrap_or_default(),
    }
}

fn portal_user_message(record: PortalUser) -> proto::PortalUser {
    let connection = |(chart, connection): (ChartId, Connection)| proto::Connection {
        chart_id: chart.into(),
        relationship: from_relationship(connection.relationship),
        status: from_connection_status(connection.status),
    };
    proto::PortalUser {
        id: record.id.into(),
        name: record.name.into(),
        email: record.email.map(String::from).unwrap_or_default(),
        status: from_account_status(record.status),
        connections: record.connections.into_iter().map(connection).collect(),
        locale: record.locale.map(String::from).unwrap_or_default(),
    }
}
