//! Small records, and imports of them.

use carepost_proto::eligibility::v1::{
    AccountStatus, Chart, Connection, ConnectionStatus, DeleteChartRequest, DeleteLocationRequest,
    DeleteOrganizationRequest, DeletePortalUserRequest, DeleteStaffRequest, ImportDirectoryRequest, ImportOptions,
    ImportTrailer, PortalUser, PutChartRequest, PutLocationRequest, PutOrganizationRequest, PutPortalUserRequest,
    PutStaffRequest, RecordVersion, Relationship, Staff, StaffRole, WriteOutcome, import_directory_request::Record,
};
use tonic::{Response, Status};

use crate::support::Feeding;

/// Active, with the role, reaching `l1`.
pub fn staff(id: &str) -> Staff {
    Staff {
        id: id.to_owned(),
        name: format!("Nurse {id}"),
        active: true,
        roles: vec![StaffRole::AvailableForPortalMessages.into()],
        location_ids: vec!["l1".to_owned()],
        ..Staff::default()
    }
}

/// With `s1` on the care team.
pub fn chart(id: &str, location: &str) -> Chart {
    Chart {
        id: id.to_owned(),
        patient_id: format!("p-{id}"),
        patient_name: "Pat Doe".to_owned(),
        location_id: location.to_owned(),
        care_team_ids: vec!["s1".to_owned()],
        ..Chart::default()
    }
}

/// Active, with a confirmed connection to a chart.
pub fn portal_user(id: &str, chart: &str) -> PortalUser {
    PortalUser {
        id: id.to_owned(),
        name: format!("Guardian {id}"),
        email: "guardian@example.org".to_owned(),
        status: AccountStatus::Active.into(),
        connections: vec![Connection {
            chart_id: chart.to_owned(),
            relationship: Relationship::Guardian.into(),
            status: ConnectionStatus::Confirmed.into(),
        }],
        ..PortalUser::default()
    }
}

/// What a write did, and the stored version.
pub type Written = (WriteOutcome, RecordVersion);

pub fn version(emr_version: i64, import_counter: i64) -> RecordVersion {
    RecordVersion {
        emr_version,
        import_counter,
    }
}

/// The outcome and version of an answer to a Put or Delete.
macro_rules! written {
    ($call:expr) => {
        $call
            .await
            .map(Response::into_inner)
            .map(|answer| (answer.outcome(), answer.version.unwrap()))
    };
}

/// Puts a record of any kind.
pub async fn put(feed: &mut Feeding, record: Record, version: i64) -> Result<Written, Status> {
    match record {
        Record::Organization(record) => written!(feed.put_organization(PutOrganizationRequest {
            organization: Some(record),
            version,
        })),
        Record::Location(record) => written!(feed.put_location(PutLocationRequest {
            location: Some(record),
            version,
        })),
        Record::Staff(record) => written!(feed.put_staff(PutStaffRequest {
            staff: Some(record),
            version,
        })),
        Record::Chart(record) => written!(feed.put_chart(PutChartRequest {
            chart: Some(record),
            version,
        })),
        Record::PortalUser(record) => written!(feed.put_portal_user(PutPortalUserRequest {
            portal_user: Some(record),
            version,
        })),
        other => panic!("{other:?} is not put"),
    }
}

/// Deletes the record of the kind and id of this one.
pub async fn delete(feed: &mut Feeding, record: &Record, version: i64) -> Result<Written, Status> {
    match record.clone() {
        Record::Organization(_) => written!(feed.delete_organization(DeleteOrganizationRequest { version })),
        Record::Location(record) => written!(feed.delete_location(DeleteLocationRequest {
            location_id: record.id,
            version,
        })),
        Record::Staff(record) => written!(feed.delete_staff(DeleteStaffRequest {
            staff_id: record.id,
            version,
        })),
        Record::Chart(record) => written!(feed.delete_chart(DeleteChartRequest {
            chart_id: record.id,
            version,
        })),
        Record::PortalUser(record) => written!(feed.delete_portal_user(DeletePortalUserRequest {
            portal_user_id: record.id,
            version,
        })),
        other => panic!("{other:?} is not deleted"),
    }
}

/// Requests of an import without versions.
pub fn unversioned(records: impl IntoIterator<Item = Record>) -> Vec<ImportDirectoryRequest> {
    records.into_iter().map(|record| of(0, record)).collect()
}

/// A request of an import.
pub fn of(version: i64, record: Record) -> ImportDirectoryRequest {
    ImportDirectoryRequest {
        version,
        record: Some(record),
    }
}

/// The requests between options and a trailer that counts them.
pub fn whole(options: ImportOptions, records: Vec<ImportDirectoryRequest>) -> Vec<ImportDirectoryRequest> {
    let trailer = ImportTrailer {
        record_count: i64::try_from(records.len()).unwrap(),
    };
    let mut requests = vec![of(0, Record::Options(options))];
    requests.extend(records);
    requests.push(of(0, Record::Trailer(trailer)));
    requests
}
