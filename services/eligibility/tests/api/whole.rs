//! Whole directories, and what imports of them did.

use std::collections::BTreeMap;

use carepost_proto::eligibility::v1::{
    ImportDirectoryRequest, ImportDirectoryResponse, ImportOptions, ListChartsRequest, ListLocationsRequest,
    ListPortalUsersRequest, ListStaffRequest, RecordKind, import_directory_request::Record,
};
use futures::stream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use crate::{
    sample::{chart, portal_user, staff},
    support::{Feeding, location, organization},
};

pub const RECONCILE: ImportOptions = ImportOptions {
    reconcile: true,
    validate_only: false,
    allow_large_removal: false,
};

/// An organization with two locations, and this many of each other kind.
pub fn directory(id: &str, many: usize) -> Vec<Record> {
    let mut records = vec![
        Record::Organization(organization(id)),
        Record::Location(location("l1")),
        Record::Location(location("l2")),
    ];
    records.extend((0..many).map(|n| Record::Staff(staff(&format!("s{n:03}")))));
    records.extend((0..many).map(|n| Record::Chart(chart(&format!("c{n:03}"), "l1"))));
    records.extend((0..many).map(|n| Record::PortalUser(portal_user(&format!("u{n:03}"), &format!("c{n:03}")))));
    records
}

pub fn id(record: &Record) -> &str {
    match record {
        Record::Location(record) => &record.id,
        Record::Staff(record) => &record.id,
        Record::Chart(record) => &record.id,
        Record::PortalUser(record) => &record.id,
        _ => "",
    }
}

pub fn without(mut records: Vec<Record>, gone: &[&str]) -> Vec<Record> {
    records.retain(|record| !gone.contains(&id(record)));
    records
}

pub async fn import(
    feed: &mut Feeding,
    requests: Vec<ImportDirectoryRequest>,
) -> Result<ImportDirectoryResponse, Status> {
    let answer = feed.import_directory(stream::iter(requests)).await;
    answer.map(tonic::Response::into_inner)
}

pub fn removals(answer: &ImportDirectoryResponse) -> BTreeMap<i32, (i64, i64, i64)> {
    let removals = answer.removals.iter();
    removals.map(|of| (of.kind, (of.stored, of.removed, of.kept))).collect()
}

pub fn removed_records(answer: &ImportDirectoryResponse) -> Vec<(RecordKind, &str)> {
    let records = answer.removed_records.iter();
    records.map(|record| (record.kind(), record.id.as_str())).collect()
}

/// How many tombstones there are of each kind.
pub async fn tombstones(feed: &mut Feeding) -> usize {
    macro_rules! count {
        ($rpc:ident, $request:ident, $field:ident) => {{
            let request = $request {
                show_deleted: true,
                page_size: 100,
                ..Default::default()
            };
            let answer = feed.$rpc(request).await.unwrap().into_inner();
            assert_eq!(answer.next_page_token, "", "one page is enough for these tests");
            answer.$field.iter().filter(|kept| kept.deleted).count()
        }};
    }
    count!(list_locations, ListLocationsRequest, locations)
        + count!(list_staff, ListStaffRequest, staff)
        + count!(list_charts, ListChartsRequest, charts)
        + count!(list_portal_users, ListPortalUsersRequest, portal_users)
}

/// The reason and metadata of a refusal.
pub fn refusal(status: &Status) -> (Code, String, BTreeMap<String, String>) {
    let details = status.get_error_details();
    let info = details.error_info().cloned().unwrap();
    (status.code(), info.reason, info.metadata.into_iter().collect())
}

pub fn metadata<const N: usize>(entries: [(&str, &str); N]) -> BTreeMap<String, String> {
    entries.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}
