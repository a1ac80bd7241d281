//! ImportDirectory (D1, S3).

use carepost_proto::{
    common::v1::ErrorReason,
    eligibility::v1::{
        Audience, Brand, BrandSeed, Chart, GetBrandRequest, GetStaffRequest, ImportDirectoryRequest, ImportRefusal,
        MessagingSettings, MessagingSettingsSeed, PutStaffRequest, RecordKind, RecordVersion, Staff,
        import_directory_request::Record,
    },
};
use carepost_testkit::DirectoryFile;
use tonic::Code;

use crate::support::{Column, Service, location, on_both, organization, reason};

fn staff(id: &str, name: &str) -> Staff {
    Staff {
        id: id.to_owned(),
        name: name.to_owned(),
        ..Staff::default()
    }
}

fn chart(id: &str, location: &str) -> Chart {
    Chart {
        id: id.to_owned(),
        patient_id: "p1".to_owned(),
        patient_name: "Pat Doe".to_owned(),
        location_id: location.to_owned(),
        ..Chart::default()
    }
}

pub fn setting(location: Option<&str>, enabled: bool, audience: Audience) -> Record {
    Record::MessagingSettingsSeed(MessagingSettingsSeed {
        location_id: location.map(str::to_owned),
        settings: Some(MessagingSettings {
            enabled,
            audience: audience.into(),
        }),
    })
}

pub fn brand(location: Option<&str>, name: &str) -> Record {
    let brand = Brand {
        name: name.to_owned(),
        ..Brand::default()
    };
    Record::BrandSeed(BrandSeed {
        location_id: location.map(str::to_owned),
        brand: Some(brand),
    })
}

fn of(version: i64, record: Record) -> ImportDirectoryRequest {
    ImportDirectoryRequest {
        version,
        record: Some(record),
    }
}

fn unversioned(records: impl IntoIterator<Item = Record>) -> Vec<ImportDirectoryRequest> {
    records.into_iter().map(|record| of(0, record)).collect()
}

fn told(refusals: &[ImportRefusal]) -> Vec<(i64, RecordKind, &str, ErrorReason)> {
    let refusals = refusals.iter();
    refusals
        .map(|refusal| (refusal.index, refusal.kind(), refusal.id.as_str(), refusal.reason()))
        .collect()
}

on_both!(both_hospitals_twice_and_the_second_time_nothing_changes);
async fn both_hospitals_twice_and_the_second_time_nothing_changes(column: Column) {
    let service = Service::start(column, "hospitals").await;
    for file in [DirectoryFile::prairie(), DirectoryFile::southern()] {
        let requests = file.import_requests();
        let all = i64::try_from(requests.len()).unwrap();
        let first = service.import(file.organization_id(), requests.clone()).await;
        assert_eq!(
            (first.added, first.changed, first.unchanged, first.refused),
            (all, 0, 0, 0),
            "{:?}",
            first.refusals
        );
        let second = service.import(file.organization_id(), requests).await;
        assert_eq!(
            (second.added, second.changed, second.unchanged, second.refused),
            (0, 0, all, 0)
        );
    }
}

on_both!(a_bad_record_is_refused_and_named_and_the_rest_imported);
async fn a_bad_record_is_refused_and_named_and_the_rest_imported(column: Column) {
    let service = Service::start(column, "bad_file").await;
    let newer = of(5, Record::Staff(staff("stored", "Newer")));
    service
        .import("org", vec![of(1, Record::Organization(organization("org"))), newer])
        .await;
    let requests = vec![
        of(0, Record::Organization(organization("other"))),
        of(0, Record::Location(location("l1"))),
        of(0, Record::Location(location("l1"))),
        of(0, Record::Staff(staff("bad id", "Ann"))),
        of(0, Record::Staff(staff("s1", "Ann\nLee"))),
        of(4, Record::Staff(staff("stored", "Older"))),
        of(0, Record::Chart(chart("c1", "l1"))),
        of(0, Record::Chart(chart("c2", "nowhere"))),
        of(-1, Record::Staff(staff("s2", "Bea"))),
        of(3, brand(None, "Care")),
        of(0, setting(Some("nowhere"), true, Audience::CareTeamOnly)),
        of(0, setting(None, true, Audience::Unspecified)),
        ImportDirectoryRequest::default(),
        of(0, Record::Staff(staff("s3", "Cleo"))),
    ];
    let answer = service.import("org", requests).await;
    let expected = [
        (0, RecordKind::Organization, "other", ErrorReason::InvalidRequest),
        (2, RecordKind::Location, "l1", ErrorReason::DuplicateRecord),
        (3, RecordKind::Staff, "", ErrorReason::InvalidRequest),
        (4, RecordKind::Staff, "s1", ErrorReason::InvalidRequest),
        (5, RecordKind::Staff, "stored", ErrorReason::VersionOutdated),
        (7, RecordKind::Chart, "c2", ErrorReason::ReferenceMissing),
        (8, RecordKind::Staff, "s2", ErrorReason::InvalidRequest),
        (9, RecordKind::Brand, "", ErrorReason::InvalidRequest),
        (
            10,
            RecordKind::MessagingSettings,
            "nowhere",
            ErrorReason::ReferenceMissing,
        ),
        (11, RecordKind::MessagingSettings, "", ErrorReason::InvalidRequest),
        (12, RecordKind::Unspecified, "", ErrorReason::InvalidRequest),
    ];
    assert_eq!(told(&answer.refusals), expected);
    assert_eq!(
        (answer.added, answer.changed, answer.unchanged, answer.refused),
        (3, 0, 0, 11)
    );
    assert_eq!(
        answer.refusals[3].message,
        "staff.name: must be one line without control characters"
    );
}

on_both!(a_conflicting_version_is_refused);
async fn a_conflicting_version_is_refused(column: Column) {
    let service = Service::start(column, "import_conflict").await;
    service.with_location("org").await;
    let first = of(2, Record::Staff(staff("s1", "Ann")));
    let other = of(2, Record::Staff(staff("s1", "Bea")));
    assert_eq!(service.import("org", vec![first.clone()]).await.added, 1);
    assert_eq!(service.import("org", vec![first]).await.unchanged, 1);
    let answer = service.import("org", vec![other]).await;
    assert_eq!(
        told(&answer.refusals),
        [(0, RecordKind::Staff, "s1", ErrorReason::VersionConflict)]
    );
}

on_both!(a_chart_comes_after_its_location_however_groups_fall);
async fn a_chart_comes_after_its_location_however_groups_fall(column: Column) {
    let service = Service::start(column, "order").await;
    let answer = service
        .import(
            "org",
            unversioned([
                Record::Organization(organization("org")),
                Record::Chart(chart("early", "l1")),
                Record::Location(location("l1")),
                Record::Chart(chart("late", "l1")),
            ]),
        )
        .await;
    assert_eq!(
        told(&answer.refusals),
        [(1, RecordKind::Chart, "early", ErrorReason::ReferenceMissing)]
    );
    assert_eq!(answer.added, 3);
}

on_both!(a_chart_whose_location_is_broken_has_none);
async fn a_chart_whose_location_is_broken_has_none(column: Column) {
    let service = Service::start(column, "broken_location").await;
    let mut broken = location("l1");
    broken.name = String::new();
    let records = [
        Record::Organization(organization("org")),
        Record::Location(broken),
        Record::Chart(chart("c1", "l1")),
    ];
    let answer = service.import("org", unversioned(records)).await;
    let reasons: Vec<_> = answer.refusals.iter().map(ImportRefusal::reason).collect();
    assert_eq!(reasons, [ErrorReason::InvalidRequest, ErrorReason::ReferenceMissing]);
}

on_both!(an_import_without_versions_raises_only_the_counter_of_what_differs);
async fn an_import_without_versions_raises_only_the_counter_of_what_differs(column: Column) {
    let service = Service::start(column, "counter").await;
    let mut feed = service.with_location("org").await;
    let put = PutStaffRequest {
        staff: Some(staff("s1", "Ann")),
        version: 3,
    };
    feed.put_staff(put).await.unwrap();
    let unchanged = service
        .import("org", unversioned([Record::Staff(staff("s1", "Ann"))]))
        .await;
    assert_eq!((unchanged.unchanged, unchanged.changed), (1, 0));
    let changed = service
        .import("org", unversioned([Record::Staff(staff("s1", "Bea"))]))
        .await;
    assert_eq!((changed.unchanged, changed.changed), (0, 1));
    let staff_id = "s1".to_owned();
    let got = feed.get_staff(GetStaffRequest { staff_id }).await.unwrap();
    let got = got.into_inner().record.unwrap();
    let version = RecordVersion {
        emr_version: 3,
        import_counter: 1,
    };
    assert_eq!((got.staff.unwrap().name.as_str(), got.version), ("Bea", Some(version)));
}

on_both!(a_seed_never_undoes_what_was_set);
async fn a_seed_never_undoes_what_was_set(column: Column) {
    let service = Service::start(column, "seeds").await;
    service.with_location("org").await;
    let first = [
        setting(None, true, Audience::CareTeamOnly),
        setting(Some("l1"), false, Audience::Unspecified),
        brand(Some("l1"), "Clinic One"),
    ];
    assert_eq!(service.import("org", unversioned(first)).await.added, 3);
    let other = [
        setting(None, false, Audience::SelectedUsers),
        brand(Some("l1"), "Clinic Two"),
        brand(None, "Care"),
    ];
    let answer = service.import("org", unversioned(other)).await;
    assert_eq!((answer.added, answer.changed, answer.unchanged), (1, 0, 2));
}

on_both!(an_import_of_many_groups_is_whole);
async fn an_import_of_many_groups_is_whole(column: Column) {
    let service = Service::start(column, "groups").await;
    service.with_location("org").await;
    let records: Vec<_> = (0..1_500)
        .map(|number| {
            let care_team_ids = (0..number % 7).map(|staff| format!("s{staff}")).collect();
            Record::Chart(Chart {
                care_team_ids,
                ..chart(&format!("c{number}"), "l1")
            })
        })
        .collect();
    assert_eq!(service.import("org", unversioned(records.clone())).await.added, 1_500);
    assert_eq!(service.import("org", unversioned(records)).await.unchanged, 1_500);
}

on_both!(an_import_over_another_organization_is_refused_at_the_door);
async fn an_import_over_another_organization_is_refused_at_the_door(column: Column) {
    let service = Service::start(column, "import_door").await;
    let stream = futures::stream::iter(unversioned([Record::Organization(organization("org"))]));
    let refused = service.feed("").import_directory(stream).await.unwrap_err();
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::PermissionDenied, "ORGANIZATION_NOT_ALLOWED")
    );
}

on_both!(s3_a_seed_for_a_location_that_cannot_be_read_is_refused_alone);
async fn s3_a_seed_for_a_location_that_cannot_be_read_is_refused_alone(column: Column) {
    let service = Service::start(column, "unreadable_seed").await;
    service.with_location("org").await;
    for unreadable in ["two words", ""] {
        let records = [
            brand(Some(unreadable), "Somewhere"),
            setting(Some(unreadable), true, Audience::CareTeamOnly),
            brand(None, "Care"),
            setting(None, true, Audience::CareTeamOnly),
        ];
        let answer = service.import("org", unversioned(records)).await;
        let expected = [
            (0, RecordKind::Brand, "", ErrorReason::InvalidRequest),
            (1, RecordKind::MessagingSettings, "", ErrorReason::InvalidRequest),
        ];
        assert_eq!(told(&answer.refusals), expected);
        assert_eq!((answer.added + answer.unchanged, answer.refused), (2, 2));
    }
    let request = GetBrandRequest::default();
    let kept = service.administer("org").get_brand(request).await.unwrap().into_inner();
    assert_eq!(kept.brand.unwrap().name, "Care");
}
