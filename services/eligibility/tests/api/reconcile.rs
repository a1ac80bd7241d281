//! ImportDirectory of a whole directory (D1): what it no longer has goes, but only if the stream was whole.

use std::collections::BTreeMap;

use carepost_proto::eligibility::v1::{
    GetChartRequest, GetStaffRequest, ImportDirectoryRequest, ImportDirectoryResponse, ImportOptions, ImportTrailer,
    RecordKind, Removal, Staff, import_directory_request::Record,
};
use tonic::Code;

use crate::{
    sample::{chart, delete, of, portal_user, staff, unversioned, version, whole},
    support::{Column, Service, location, on_both, reason, wrong_fields},
    whole::{RECONCILE, directory, import, metadata, refusal, removals, removed_records, tombstones, without},
};

on_both!(what_a_whole_directory_no_longer_has_goes);
async fn what_a_whole_directory_no_longer_has_goes(column: Column) {
    let service = Service::start(column, "reconcile").await;
    let mut feed = service.feed("org");
    let records = directory("org", 30);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    let gone = ["s003", "c004", "u005", "u006"];
    let stream = whole(RECONCILE, unversioned(without(records.clone(), &gone)));
    let plan = ImportOptions {
        validate_only: true,
        ..RECONCILE
    };
    let planned = import(&mut feed, whole(plan, unversioned(without(records.clone(), &gone))))
        .await
        .unwrap();
    assert!(planned.validate_only);
    assert_eq!(tombstones(&mut feed).await, 0);

    let answer = import(&mut feed, stream.clone()).await.unwrap();
    assert_eq!(
        (answer.added, answer.changed, answer.unchanged, answer.refused),
        (0, 0, 89, 0)
    );
    let expected = BTreeMap::from([
        (RecordKind::Location.into(), (2, 0, 0)),
        (RecordKind::Staff.into(), (30, 1, 0)),
        (RecordKind::Chart.into(), (30, 1, 0)),
        (RecordKind::PortalUser.into(), (30, 2, 0)),
    ]);
    assert_eq!(removals(&answer), expected);
    let expected = [
        (RecordKind::Staff, "s003"),
        (RecordKind::Chart, "c004"),
        (RecordKind::PortalUser, "u005"),
        (RecordKind::PortalUser, "u006"),
    ];
    assert_eq!(removed_records(&answer), expected);
    assert_eq!(
        planned,
        ImportDirectoryResponse {
            validate_only: true,
            ..answer
        }
    );
    assert_eq!(tombstones(&mut feed).await, 4);
    let staff_id = "s003".to_owned();
    let kept = feed.get_staff(GetStaffRequest { staff_id }).await.unwrap();
    let kept = kept.into_inner().record.unwrap();
    assert_eq!(
        (kept.deleted, kept.version, kept.staff),
        (true, Some(version(0, 1)), Some(staff("s003")))
    );

    let again = import(&mut feed, stream).await.unwrap();
    assert_eq!(
        (again.unchanged, again.removed_records.len(), again.restored),
        (89, 0, 0)
    );
    // The plan names what would come back, and then it does.
    let planned = import(&mut feed, whole(plan, unversioned(records.clone())))
        .await
        .unwrap();
    assert_eq!(tombstones(&mut feed).await, 4);
    let back = import(&mut feed, whole(RECONCILE, unversioned(records))).await.unwrap();
    for answer in [planned, back] {
        assert_eq!((answer.added, answer.changed, answer.unchanged), (0, 4, 89));
        let restored = answer.restored_records.iter();
        let restored: Vec<_> = restored.map(|record| (record.kind(), record.id.as_str())).collect();
        assert_eq!((answer.restored, restored.as_slice()), (4, expected.as_slice()));
    }
    assert_eq!(tombstones(&mut feed).await, 0);
}

on_both!(what_a_reconciliation_took_comes_back_with_the_same_version);
async fn what_a_reconciliation_took_comes_back_with_the_same_version(column: Column) {
    let service = Service::start(column, "back_again").await;
    let mut feed = service.feed("org");
    let versioned = |records: Vec<Record>| records.into_iter().map(|record| of(7, record)).collect();
    let records = directory("org", 20);
    import(&mut feed, versioned(records.clone())).await.unwrap();
    let less = whole(RECONCILE, versioned(without(records.clone(), &["c001"])));
    assert_eq!(import(&mut feed, less).await.unwrap().removed_records.len(), 1);
    let back = import(&mut feed, whole(RECONCILE, versioned(records.clone())))
        .await
        .unwrap();
    assert_eq!((back.changed, back.refused), (1, 0), "{:?}", back.refusals);
    // What the EMR itself deleted does not.
    delete(&mut feed, &Record::Chart(chart("c001", "l1")), 8).await.unwrap();
    let old = import(&mut feed, whole(RECONCILE, versioned(records))).await.unwrap();
    assert_eq!((old.changed, old.refused), (0, 1));
    assert_eq!(tombstones(&mut feed).await, 1);
}

on_both!(nothing_goes_unless_the_stream_was_whole);
async fn nothing_goes_unless_the_stream_was_whole(column: Column) {
    let service = Service::start(column, "not_whole").await;
    let mut feed = service.feed("org");
    let records = directory("org", 20);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    let less = without(records, &["s001", "c001", "u001"]);
    let received = less.len().to_string();
    let good = whole(RECONCILE, unversioned(less.clone()));

    let mut no_trailer = good.clone();
    no_trailer.pop();
    let mut wrong_count = no_trailer.clone();
    let trailer = |record_count| of(0, Record::Trailer(ImportTrailer { record_count }));
    wrong_count.push(trailer(i64::try_from(less.len()).unwrap() + 1));
    for stream in [no_trailer.clone(), wrong_count] {
        let refused = import(&mut feed, stream).await.unwrap_err();
        let counts = [
            ("added", "0"),
            ("changed", "0"),
            ("unchanged", &received),
            ("refused", "0"),
        ];
        let mut told = metadata(counts);
        told.extend(metadata([("received", &received)]));
        let expected = (Code::InvalidArgument, "IMPORT_INCOMPLETE".to_owned(), told);
        assert_eq!(refusal(&refused), expected);
    }
    let nameless = Staff {
        id: "bad id".to_owned(),
        ..staff("s1")
    };
    let mut with_nameless = less.clone();
    with_nameless.push(Record::Staff(nameless));
    let refused = import(&mut feed, whole(RECONCILE, unversioned(with_nameless)))
        .await
        .unwrap_err();
    let (_, why, told) = refusal(&refused);
    assert_eq!(
        (why.as_str(), told["index"].clone()),
        ("IMPORT_INCOMPLETE", (less.len() + 1).to_string())
    );
    let mut no_record = no_trailer.clone();
    no_record.push(ImportDirectoryRequest::default());
    no_record.push(trailer(i64::try_from(less.len()).unwrap() + 1));
    assert_eq!(
        reason(&import(&mut feed, no_record).await.unwrap_err()),
        "IMPORT_INCOMPLETE"
    );

    let mut options_late = good.clone();
    options_late.insert(3, of(0, Record::Options(RECONCILE)));
    let refused = import(&mut feed, options_late).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["options"]);
    let mut after_trailer = good.clone();
    after_trailer.push(of(0, Record::Staff(staff("s9"))));
    let refused = import(&mut feed, after_trailer).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["trailer"]);
    let mut too_large = no_trailer;
    too_large.push(of(
        0,
        Record::Staff(Staff {
            name: "x".repeat(1_024 * 1_024),
            ..staff("s9")
        }),
    ));
    let refused = import(&mut feed, too_large).await.unwrap_err();
    assert_eq!(refusal(&refused).1, "REQUEST_TOO_LARGE");
    assert_eq!(refused.code(), Code::OutOfRange);

    assert_eq!(tombstones(&mut feed).await, 0);
    let answer = import(&mut feed, good).await.unwrap();
    assert_eq!((answer.removed_records.len(), tombstones(&mut feed).await), (3, 3));
}

on_both!(a_refused_record_with_an_id_is_there);
async fn a_refused_record_with_an_id_is_there(column: Column) {
    let service = Service::start(column, "refused_is_there").await;
    let mut feed = service.feed("org");
    let mut records = directory("org", 20);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    for record in &mut records {
        match record {
            Record::Staff(staff) if staff.id == "s001" => staff.name = String::new(),
            Record::Chart(chart) if chart.id == "c001" => chart.location_id = "nowhere".to_owned(),
            Record::PortalUser(user) if user.id == "u001" => user.status = 99,
            _ => {}
        }
    }
    let answer = import(&mut feed, whole(RECONCILE, unversioned(records))).await.unwrap();
    assert_eq!((answer.refused, answer.removed_records.len()), (3, 0));
    assert_eq!(tombstones(&mut feed).await, 0);
}

on_both!(no_more_than_a_tenth_of_a_kind_goes_without_the_flag);
async fn no_more_than_a_tenth_of_a_kind_goes_without_the_flag(column: Column) {
    let service = Service::start(column, "large_removal").await;
    let mut feed = service.feed("org");
    let records = directory("org", 20);
    import(&mut feed, unversioned(records.clone())).await.unwrap();
    // Three of twenty portal users, of seventy records in all; what else changed is written.
    let mut less = without(records, &["u001", "u002", "u003"]);
    less.push(Record::Staff(staff("new")));
    let refused = import(&mut feed, whole(RECONCILE, unversioned(less.clone())))
        .await
        .unwrap_err();
    let expected = (
        Code::FailedPrecondition,
        "REMOVAL_TOO_LARGE".to_owned(),
        metadata([
            ("kind", "portal_user"),
            ("removed", "3"),
            ("stored", "20"),
            ("added", "1"),
            ("changed", "0"),
            ("unchanged", "60"),
            ("refused", "0"),
        ]),
    );
    assert_eq!(refusal(&refused), expected);
    let message = "more than 10 % of a kind of record would be taken away, so nothing was; \
                   what the stream held is written: 1 added, 0 changed";
    assert_eq!(refused.message(), message);
    assert_eq!(tombstones(&mut feed).await, 0);
    let staff_id = "new".to_owned();
    feed.get_staff(GetStaffRequest { staff_id }).await.unwrap();

    let plan = ImportOptions {
        validate_only: true,
        ..RECONCILE
    };
    let planned = import(&mut feed, whole(plan, unversioned(less.clone()))).await.unwrap();
    assert_eq!(planned.removed_records.len(), 3, "the plan can be looked at");
    let allowed = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    let answer = import(&mut feed, whole(allowed, unversioned(less))).await.unwrap();
    assert_eq!((answer.removed_records.len(), tombstones(&mut feed).await), (3, 3));
}

on_both!(new_records_do_not_make_room_for_a_large_removal);
async fn new_records_do_not_make_room_for_a_large_removal(column: Column) {
    let service = Service::start(column, "no_dilution").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 10))).await.unwrap();
    let mut others = directory("org", 0);
    others.extend((0..200).map(|n| Record::Staff(staff(&format!("other{n}")))));
    let refused = import(&mut feed, whole(RECONCILE, unversioned(others)))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).1, "REMOVAL_TOO_LARGE");
}

on_both!(a_location_goes_once_no_chart_is_there);
async fn a_location_goes_once_no_chart_is_there(column: Column) {
    let service = Service::start(column, "locations_go").await;
    let mut feed = service.feed("org");
    let options = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    import(&mut feed, unversioned(directory("org", 3))).await.unwrap();
    // The charts are at l1, which the stream no longer has; nothing is at l2.
    let less = without(directory("org", 3), &["l1", "l2"]);
    let answer = import(&mut feed, whole(options, unversioned(less.clone())))
        .await
        .unwrap();
    assert_eq!(removals(&answer)[&RecordKind::Location.into()], (2, 1, 1));
    assert_eq!(removed_records(&answer), [(RecordKind::Location, "l2")]);
    // Charts move, and others go with the location.
    let mut moved = without(less, &["c001", "c002"]);
    moved.insert(1, Record::Location(location("l3")));
    for record in &mut moved {
        if let Record::Chart(chart) = record {
            chart.location_id = "l3".to_owned();
        }
    }
    let answer = import(&mut feed, whole(options, unversioned(moved))).await.unwrap();
    let expected = [
        (RecordKind::Location, "l1"),
        (RecordKind::Chart, "c001"),
        (RecordKind::Chart, "c002"),
    ];
    assert_eq!(removed_records(&answer), expected);
    let chart_id = "c000".to_owned();
    let kept = feed.get_chart(GetChartRequest { chart_id }).await.unwrap();
    assert_eq!(kept.into_inner().record.unwrap().chart.unwrap().location_id, "l3");
}

on_both!(a_reconciliation_of_many_groups_is_whole);
async fn a_reconciliation_of_many_groups_is_whole(column: Column) {
    let service = Service::start(column, "many_windows").await;
    let mut feed = service.feed("org");
    let records = |many: usize, step: usize| {
        let mut records = directory("org", 0);
        records.extend(
            (0..many)
                .step_by(step)
                .map(|n| Record::Chart(chart(&format!("c{n}"), "l1"))),
        );
        unversioned(records)
    };
    assert_eq!(import(&mut feed, records(9_000, 1)).await.unwrap().added, 9_003);
    let options = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    let answer = import(&mut feed, whole(options, records(9_000, 2))).await.unwrap();
    assert_eq!(answer.unchanged, 4_503);
    assert_eq!(removals(&answer)[&RecordKind::Chart.into()], (9_000, 4_500, 0));
    assert_eq!(answer.removed_records.len(), 1_000);
}

on_both!(removals_are_told_by_kind);
async fn removals_are_told_by_kind(column: Column) {
    let service = Service::start(column, "removals_told").await;
    let mut feed = service.feed("org");
    let empty = import(&mut feed, whole(RECONCILE, unversioned(directory("org", 2))))
        .await
        .unwrap();
    assert_eq!(empty.removals, [], "nothing was stored before");
    let records = without(directory("org", 2), &["l2"]);
    let refused = import(&mut feed, whole(RECONCILE, unversioned(records.clone())))
        .await
        .unwrap_err();
    let told = refusal(&refused).2;
    assert_eq!(
        (told["kind"].as_str(), told["removed"].as_str(), told["stored"].as_str()),
        ("location", "1", "2")
    );
    let options = ImportOptions {
        allow_large_removal: true,
        ..RECONCILE
    };
    let answer = import(&mut feed, whole(options, unversioned(records))).await.unwrap();
    let first = Removal {
        kind: RecordKind::Location.into(),
        stored: 2,
        removed: 1,
        kept: 0,
    };
    assert_eq!(answer.removals.first(), Some(&first));
}

on_both!(what_goes_is_told_to_the_suite);
async fn what_goes_is_told_to_the_suite(column: Column) {
    let service = Service::start(column, "removal_events").await;
    let mut feed = service.feed("org");
    import(&mut feed, unversioned(directory("org", 20))).await.unwrap();
    let mut events = service.events();
    assert_eq!(events.next().await.staff_ids.len(), 20);
    let less = without(directory("org", 20), &["s001", "c001"]);
    import(&mut feed, whole(RECONCILE, unversioned(less))).await.unwrap();
    let mut told = Vec::new();
    while told.len() < 2 {
        let event = events.next().await;
        told.extend(event.staff_ids);
        told.extend(event.chart_ids);
    }
    told.sort();
    assert_eq!(told, ["c001", "s001"]);
    delete(&mut feed, &Record::PortalUser(portal_user("u002", "c002")), 1)
        .await
        .unwrap();
    assert_eq!(events.next().await.portal_user_ids, ["u002"]);
}
