//! How records lie in tables: one row in the table of their kind, and rows in the tables of their lists.

use carepost_folding::fold;
use sea_orm::Value;

use crate::domain::directory::{Chart, Connection, Location, Organization, PortalUser, Record, RecordKind, Staff};

/// The table of a kind of records.
pub(super) struct Table {
    pub name: &'static str,
    /// The column of the id.
    pub key: &'static str,
    /// The columns of the content, without lists.
    pub content: &'static [&'static str],
    pub lists: &'static [List],
}

/// A table that holds a list of a record: its columns after organization and record.
pub(super) struct List {
    pub name: &'static str,
    /// The column of the record's id.
    pub parent: &'static str,
    pub columns: &'static [&'static str],
}

const ORGANIZATION: Table = Table {
    name: "organization",
    key: "organization",
    content: &["name", "country", "portal_url", "locale"],
    lists: &[],
};

const LOCATION: Table = Table {
    name: "location",
    key: "id",
    content: &["name", "country"],
    lists: &[],
};

const STAFF: Table = Table {
    name: "staff",
    key: "id",
    content: &["name", "sort_name", "folded_name", "email", "active", "all_locations"],
    lists: &[
        List {
            name: "staff_role",
            parent: "staff",
            columns: &["role"],
        },
        List {
            name: "staff_location",
            parent: "staff",
            columns: &["location"],
        },
    ],
};

const CHART: Table = Table {
    name: "chart",
    key: "id",
    content: &["patient_id", "patient_name", "location", "url"],
    lists: &[List {
        name: "chart_staff",
        parent: "chart",
        columns: &["staff", "care_team", "barred"],
    }],
};

const PORTAL_USER: Table = Table {
    name: "portal_user",
    key: "id",
    content: &["name", "sort_name", "folded_name", "email", "status", "locale"],
    lists: &[List {
        name: "connection",
        parent: "portal_user",
        columns: &["chart", "relationship", "status"],
    }],
};

/// The table of a kind; seeds are no records.
pub(super) fn table(kind: RecordKind) -> Option<&'static Table> {
    match kind {
        RecordKind::Organization => Some(&ORGANIZATION),
        RecordKind::Location => Some(&LOCATION),
        RecordKind::Staff => Some(&STAFF),
        RecordKind::Chart => Some(&CHART),
        RecordKind::PortalUser => Some(&PORTAL_USER),
        RecordKind::MessagingSettings | RecordKind::Brand => None,
    }
}

impl Table {
    /// The content of a tombstone whose record never came.
    pub fn blank(&self) -> impl Iterator<Item = Value> {
        self.content.iter().map(|column| match *column {
            "active" | "all_locations" => false.into(),
            // It refers to none.
            "location" => Value::String(None),
            _ => "".into(),
        })
    }
}

/// A record in the columns of its table.
pub(super) struct Rows {
    pub content: Vec<Value>,
    /// For each list of the table, the rows in its columns.
    pub lists: Vec<Vec<Vec<Value>>>,
}

pub(super) fn rows(record: &Record) -> Rows {
    match record {
        Record::Organization(record) => organization(record),
        Record::Location(record) => location(record),
        Record::Staff(record) => staff(record),
        Record::Chart(record) => chart(record),
        Record::PortalUser(record) => portal_user(record),
    }
}

/// An absent text is stored as an empty one.
macro_rules! optional {
    ($text:expr) => {
        $text.as_ref().map(|text| text.as_str()).unwrap_or_default().into()
    };
}

fn organization(record: &Organization) -> Rows {
    let content = vec![
        record.name.as_str().into(),
        record.country.as_str().into(),
        record.portal_url.as_str().into(),
        optional!(record.locale),
    ];
    Rows { content, lists: vec![] }
}

fn location(record: &Location) -> Rows {
    let content = vec![record.name.as_str().into(), optional!(record.country)];
    Rows { content, lists: vec![] }
}

fn staff(record: &Staff) -> Rows {
    let content = vec![
        record.name.as_str().into(),
        record.name.for_sorting().into(),
        fold(record.name.as_str()).into(),
        optional!(record.email),
        record.active.into(),
        record.all_locations.into(),
    ];
    let roles = record.roles.iter().map(|role| vec![role.as_str().into()]).collect();
    let locations = record.locations.iter().map(|id| vec![id.as_str().into()]).collect();
    Rows {
        content,
        lists: vec![roles, locations],
    }
}

fn chart(record: &Chart) -> Rows {
    let content = vec![
        record.patient_id.as_str().into(),
        record.patient_name.as_str().into(),
        record.location.as_str().into(),
        optional!(record.url),
    ];
    let staff = record.care_team.union(&record.barred).map(|id| {
        let (care_team, barred) = (record.care_team.contains(id), record.barred.contains(id));
        vec![id.as_str().into(), care_team.into(), barred.into()]
    });
    Rows {
        content,
        lists: vec![staff.collect()],
    }
}

fn portal_user(record: &PortalUser) -> Rows {
    let content = vec![
        record.name.as_str().into(),
        record.name.for_sorting().into(),
        fold(record.name.as_str()).into(),
        optional!(record.email),
        record.status.as_str().into(),
        optional!(record.locale),
    ];
    let connections = record.connections.iter().map(|(chart, connection)| {
        let Connection { relationship, status } = connection;
        vec![
            chart.as_str().into(),
            relationship.as_str().into(),
            status.as_str().into(),
        ]
    });
    Rows {
        content,
        lists: vec![connections.collect()],
    }
}
