//! `validate_only` (D1): the plan of an import is what the import then does.

use carepost_proto::eligibility::v1::{
    Audience, Chart, ImportDirectoryRequest, ImportDirectoryResponse, ImportOptions, Location, PortalUser, Staff,
    import_directory_request::Record,
};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    import::{brand, setting},
    sample::{chart, delete, of, portal_user, put, staff, whole},
    support::{Column, Service, location, on_both, organization},
    whole::import,
};

/// Something small and random that an import may bring.
fn any_request() -> impl Strategy<Value = ImportDirectoryRequest> {
    let (n, l, name) = (0..5_u8, 0..4_u8, prop::sample::select(vec!["Ann", "Bea", ""]));
    let version = prop::sample::select(vec![0_i64, 0, 0, 1, 2, 3, -1]);
    (0..9_u8, n, l, name, version).prop_map(|(kind, n, l, name, version)| {
        let record = match kind {
            0 => Record::Organization(organization("unknown")),
            1 | 2 => Record::Location(Location {
                name: name.to_owned(),
                ..location(&format!("l{l}"))
            }),
            3 => Record::Staff(Staff {
                name: name.to_owned(),
                ..staff(&format!("s{n}"))
            }),
            4 | 5 => Record::Chart(Chart {
                patient_name: name.to_owned(),
                ..chart(&format!("c{n}"), &format!("l{l}"))
            }),
            6 => Record::PortalUser(PortalUser {
                name: name.to_owned(),
                ..portal_user(&format!("u{n}"), &format!("c{l}"))
            }),
            7 => {
                let place = format!("l{l}");
                setting(
                    Some(&place).filter(|_| n > 1).map(String::as_str),
                    true,
                    Audience::CareTeamOnly,
                )
            }
            _ => {
                let place = format!("l{l}");
                brand(Some(&place).filter(|_| n > 1).map(String::as_str), "Care")
            }
        };
        of(version, record)
    })
}

/// Options whose removals may be any size: with so few records, every one is large.
fn any_options() -> impl Strategy<Value = ImportOptions> {
    prop::bool::weighted(0.8).prop_map(|reconcile| ImportOptions {
        reconcile,
        validate_only: false,
        allow_large_removal: true,
    })
}

/// The stream of a case, for its own organization: mostly with its organization first.
fn for_organization(id: &str, mut requests: Vec<ImportDirectoryRequest>) -> Vec<ImportDirectoryRequest> {
    for request in &mut requests {
        if let Some(Record::Organization(record)) = &mut request.record {
            *record = organization(id);
        }
    }
    requests
}

on_both!(a_plan_is_what_the_import_then_does);
async fn a_plan_is_what_the_import_then_does(column: Column) {
    let service = Service::start(column, "plan").await;
    let cases = (
        prop::collection::vec(any_request(), 0..30),
        prop::collection::vec((any_request(), any::<bool>()), 0..6),
        prop::collection::vec(any_request(), 0..30),
        any_options(),
        prop::bool::weighted(0.9),
    );
    let mut runner = TestRunner::deterministic();
    let mut removed = 0;
    for case in 0..80 {
        let (before, writes, stream, options, organization_first) = cases.new_tree(&mut runner).unwrap().current();
        let id = format!("org{case}");
        let mut feed = service.feed(&id);
        let first = of(0, Record::Organization(organization(&id)));
        let with_first = |requests: Vec<_>, is_first: bool| {
            let first = is_first.then(|| first.clone());
            first
                .into_iter()
                .chain(for_organization(&id, requests))
                .collect::<Vec<_>>()
        };
        import(&mut feed, with_first(before, organization_first)).await.unwrap();
        for (request, is_deletion) in writes {
            let record = request.record.unwrap();
            if matches!(
                record,
                Record::MessagingSettingsSeed(_) | Record::BrandSeed(_) | Record::Organization(_)
            ) {
                continue;
            }
            // Whatever comes of it.
            let _ = if is_deletion {
                delete(&mut feed, &record, request.version.abs() + 1).await
            } else {
                put(&mut feed, record, request.version.abs() + 1).await
            };
        }
        let stream = with_first(stream, organization_first);
        let plan = ImportOptions {
            validate_only: true,
            ..options
        };
        let planned = import(&mut feed, whole(plan, stream.clone())).await.unwrap();
        let again = import(&mut feed, whole(plan, stream.clone())).await.unwrap();
        assert_eq!(planned, again, "a plan changes nothing");
        let done = import(&mut feed, whole(options, stream)).await.unwrap();
        removed += done.removed_records.len();
        assert_eq!(
            planned,
            ImportDirectoryResponse {
                validate_only: true,
                ..done
            },
            "case {case}"
        );
    }
    assert!(removed > 50, "the cases are not idle: {removed} removed");
}
