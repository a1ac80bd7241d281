//! The lists of the directory: paged by id, filtered, with tombstones where asked for.

use std::collections::BTreeMap;

use carepost_proto::eligibility::v1::{
    Chart, ListChartsRequest, ListLocationsRequest, ListOrganizationsRequest, ListPortalUsersRequest, ListStaffRequest,
    PortalUser, Staff, StaffRole, import_directory_request::Record,
};
use carepost_testkit::DirectoryFile;

use crate::{
    sample::{chart, delete, portal_user, put},
    support::{Column, Feeding, Service, location, on_both, organization},
};

/// All pages of a list: its records without what is around them.
macro_rules! all {
    ($feed:expr, $rpc:ident, $field:ident, $record:ident, $request:expr) => {{
        let mut request = $request;
        let mut listed = Vec::new();
        loop {
            let page = $feed.$rpc(request.clone()).await.unwrap().into_inner();
            assert!(page.$field.len() <= usize::try_from(request.page_size).unwrap());
            listed.extend(page.$field.into_iter().map(|kept| kept.$record.unwrap()));
            if page.next_page_token.is_empty() {
                break listed;
            }
            request.page_token = page.next_page_token;
        }
    }};
}

/// A hospital, by id.
#[derive(Default)]
struct Hospital {
    staff: BTreeMap<String, Staff>,
    charts: BTreeMap<String, Chart>,
    users: BTreeMap<String, PortalUser>,
    locations: Vec<String>,
}

impl Hospital {
    async fn import(service: &Service, file: &DirectoryFile) -> Self {
        let requests = file.import_requests();
        service.import(file.organization_id(), requests.clone()).await;
        let mut hospital = Self::default();
        for record in requests.into_iter().filter_map(|request| request.record) {
            match record {
                Record::Staff(record) => drop(hospital.staff.insert(record.id.clone(), record)),
                Record::Chart(record) => drop(hospital.charts.insert(record.id.clone(), record)),
                Record::PortalUser(record) => drop(hospital.users.insert(record.id.clone(), record)),
                Record::Location(record) => hospital.locations.push(record.id),
                _ => {}
            }
        }
        hospital.locations.sort();
        hospital
    }
}

fn ids<T>(records: &BTreeMap<String, T>, wanted: impl Fn(&T) -> bool) -> Vec<&str> {
    let wanted = records.iter().filter(|(_, record)| wanted(record));
    wanted.map(|(id, _)| id.as_str()).collect()
}

on_both!(lists_hold_exactly_what_was_imported_in_the_order_of_ids);
async fn lists_hold_exactly_what_was_imported_in_the_order_of_ids(column: Column) {
    let service = Service::start(column, "directory_lists").await;
    let file = DirectoryFile::southern();
    let hospital = Hospital::import(&service, &file).await;
    let mut feed = service.feed(file.organization_id());
    let page_size = 17;

    let request = ListLocationsRequest {
        page_size,
        ..Default::default()
    };
    let listed = all!(feed, list_locations, locations, location, request);
    let listed: Vec<_> = listed.into_iter().map(|location| location.id).collect();
    assert_eq!(listed, hospital.locations);
    let request = ListStaffRequest {
        page_size,
        ..Default::default()
    };
    let mut listed = all!(feed, list_staff, staff, staff, request);
    let mut expected: Vec<_> = hospital.staff.values().cloned().collect();
    for staff in listed.iter_mut().chain(&mut expected) {
        staff.roles.sort_unstable();
        staff.location_ids.sort();
    }
    assert_eq!(listed, expected);
    let request = ListChartsRequest {
        page_size,
        ..Default::default()
    };
    let mut listed = all!(feed, list_charts, charts, chart, request);
    let mut expected: Vec<_> = hospital.charts.values().cloned().collect();
    for chart in listed.iter_mut().chain(&mut expected) {
        chart.care_team_ids.sort();
        chart.barred_staff_ids.sort();
    }
    assert_eq!(listed, expected);
    let request = ListPortalUsersRequest {
        page_size,
        ..Default::default()
    };
    let mut listed = all!(feed, list_portal_users, portal_users, portal_user, request);
    let mut expected: Vec<_> = hospital.users.values().cloned().collect();
    for user in listed.iter_mut().chain(&mut expected) {
        user.connections.sort_by(|one, other| one.chart_id.cmp(&other.chart_id));
    }
    assert_eq!(listed, expected);
    let request = ListOrganizationsRequest {
        page_size,
        ..Default::default()
    };
    let listed = all!(feed, list_organizations, organizations, organization, request);
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].id, file.organization_id());
}

on_both!(filters_hold_together);
async fn filters_hold_together(column: Column) {
    let service = Service::start(column, "directory_filters").await;
    let file = DirectoryFile::southern();
    let hospital = Hospital::import(&service, &file).await;
    let mut feed = service.feed(file.organization_id());
    for place in hospital
        .locations
        .iter()
        .take(3)
        .map(String::as_str)
        .chain(["nowhere", ""])
    {
        staff_filters(&mut feed, &hospital, place).await;
        let request = ListChartsRequest {
            page_size: 9,
            location_id: place.to_owned(),
            ..Default::default()
        };
        let listed = all!(feed, list_charts, charts, chart, request);
        let listed: Vec<_> = listed.iter().map(|chart| chart.id.as_str()).collect();
        let here = |chart: &Chart| place.is_empty() || chart.location_id == place;
        assert_eq!(listed, ids(&hospital.charts, here));
    }
    for of in hospital.charts.values().take(5) {
        chart_filters(&mut feed, &hospital, of).await;
    }
    for user in hospital.users.values().take(5) {
        let request = ListPortalUsersRequest {
            page_size: 9,
            status: user.status,
            ..Default::default()
        };
        let listed = all!(feed, list_portal_users, portal_users, portal_user, request);
        let listed: Vec<_> = listed.iter().map(|user| user.id.as_str()).collect();
        assert_eq!(listed, ids(&hospital.users, |other| other.status == user.status));
    }
}

async fn staff_filters(feed: &mut Feeding, hospital: &Hospital, place: &str) {
    let roles = [
        StaffRole::Unspecified,
        StaffRole::AvailableForPortalMessages,
        StaffRole::SuperAdmin,
    ];
    for (active, role) in [None, Some(true), Some(false)].into_iter().zip(roles) {
        let request = ListStaffRequest {
            page_size: 9,
            active,
            role: role.into(),
            location_id: place.to_owned(),
            ..Default::default()
        };
        let listed = all!(feed, list_staff, staff, staff, request);
        let listed: Vec<_> = listed.iter().map(|staff| staff.id.as_str()).collect();
        let wanted = |staff: &Staff| {
            active.is_none_or(|active| staff.active == active)
                && (role == StaffRole::Unspecified || staff.roles().any(|has| has == role))
                && (place.is_empty() || staff.all_locations || staff.location_ids.iter().any(|id| id == place))
        };
        assert_eq!(listed, ids(&hospital.staff, wanted));
    }
}

async fn chart_filters(feed: &mut Feeding, hospital: &Hospital, of: &Chart) {
    let member = of.care_team_ids.first().cloned().unwrap_or_default();
    for patient_id in ["", of.patient_id.as_str()] {
        let request = ListChartsRequest {
            page_size: 9,
            patient_id: patient_id.to_owned(),
            care_team_staff_id: member.clone(),
            ..Default::default()
        };
        let listed = all!(feed, list_charts, charts, chart, request);
        let listed: Vec<_> = listed.iter().map(|chart| chart.id.as_str()).collect();
        let wanted = |chart: &Chart| {
            (patient_id.is_empty() || chart.patient_id == patient_id)
                && (member.is_empty() || chart.care_team_ids.contains(&member))
        };
        assert_eq!(listed, ids(&hospital.charts, wanted));
    }
    let request = ListPortalUsersRequest {
        page_size: 9,
        chart_id: of.id.clone(),
        ..Default::default()
    };
    let listed = all!(feed, list_portal_users, portal_users, portal_user, request);
    let listed: Vec<_> = listed.iter().map(|user| user.id.as_str()).collect();
    let connected = |user: &PortalUser| user.connections.iter().any(|to| to.chart_id == of.id);
    assert_eq!(listed, ids(&hospital.users, connected));
}

on_both!(tombstones_are_listed_where_asked_for);
async fn tombstones_are_listed_where_asked_for(column: Column) {
    let service = Service::start(column, "show_deleted").await;
    let mut feed = service.with_location("org").await;
    for id in ["a", "B", "b", "c"] {
        let record = Record::Chart(chart(id, "l1"));
        put(&mut feed, record.clone(), 1).await.unwrap();
        if id == "b" {
            delete(&mut feed, &record, 2).await.unwrap();
        }
    }
    delete(&mut feed, &Record::Chart(chart("never", "l1")), 9)
        .await
        .unwrap();
    let mut listed = Vec::new();
    for show_deleted in [false, true] {
        let request = ListChartsRequest {
            show_deleted,
            ..Default::default()
        };
        let answer = feed.list_charts(request).await.unwrap().into_inner();
        assert_eq!(answer.next_page_token, "");
        let page = answer.charts.into_iter().map(|kept| {
            assert!(kept.update_time.is_some());
            (kept.chart.unwrap(), kept.version.unwrap().emr_version, kept.deleted)
        });
        listed.push(page.collect::<Vec<_>>());
    }
    let live = |id| (chart(id, "l1"), 1, false);
    assert_eq!(listed[0], ["B", "a", "c"].map(live));
    let never = Chart {
        id: "never".to_owned(),
        ..Chart::default()
    };
    let deleted = (chart("b", "l1"), 2, true);
    let expected = [live("B"), live("a"), deleted, live("c"), (never, 9, true)];
    assert_eq!(listed[1], expected);
}

on_both!(the_update_time_is_that_of_the_last_write_or_deletion);
async fn the_update_time_is_that_of_the_last_write_or_deletion(column: Column) {
    let service = Service::start(column, "update_time").await;
    let mut feed = service.with_location("org").await;
    let record = Record::PortalUser(portal_user("u1", "c1"));
    let mut times = Vec::new();
    for step in 0..4 {
        match step {
            0 => drop(put(&mut feed, record.clone(), 1).await.unwrap()),
            1 => drop(put(&mut feed, record.clone(), 1).await.unwrap()),
            2 => drop(delete(&mut feed, &record, 2).await.unwrap()),
            _ => drop(put(&mut feed, record.clone(), 3).await.unwrap()),
        }
        let request = ListPortalUsersRequest {
            show_deleted: true,
            ..Default::default()
        };
        let answer = feed.list_portal_users(request).await.unwrap().into_inner();
        let time = answer.portal_users[0].update_time.unwrap();
        times.push((time.seconds, time.nanos));
    }
    assert_eq!(times[0], times[1]);
    assert!(times[1] < times[2] && times[2] < times[3], "{times:?}");
}

on_both!(a_page_of_large_records_is_short_and_leads_on);
async fn a_page_of_large_records_is_short_and_leads_on(column: Column) {
    let service = Service::start(column, "large_pages").await;
    let mut feed = service.with_location("org").await;
    let mut expected = Vec::new();
    for number in 0..20 {
        let large = Chart {
            care_team_ids: (0..2_000).map(|staff| format!("{staff:0>110}")).collect(),
            ..chart(&format!("c{number:02}"), "l1")
        };
        expected.push(large.id.clone());
        put(&mut feed, Record::Chart(large), 1).await.unwrap();
    }
    let request = ListChartsRequest {
        page_size: 100,
        ..Default::default()
    };
    let first = feed.list_charts(request.clone()).await.unwrap().into_inner();
    assert!(first.charts.len() < 20 && !first.next_page_token.is_empty());
    let listed = all!(feed, list_charts, charts, chart, request);
    let listed: Vec<_> = listed.into_iter().map(|chart| chart.id).collect();
    assert_eq!(listed, expected);
}

on_both!(an_organization_that_was_never_written_is_not_listed);
async fn an_organization_that_was_never_written_is_not_listed(column: Column) {
    let service = Service::start(column, "list_organizations").await;
    let mut feed = service.feed("org");
    let request = ListOrganizationsRequest::default();
    let listed = feed.list_organizations(request.clone()).await.unwrap().into_inner();
    assert_eq!(listed.organizations, []);
    let record = Record::Organization(organization("org"));
    put(&mut feed, record.clone(), 1).await.unwrap();
    put(&mut feed, Record::Location(location("l1")), 1).await.unwrap();
    let listed = feed.list_organizations(request.clone()).await.unwrap().into_inner();
    assert_eq!(listed.organizations[0].organization, Some(organization("org")));
    delete(&mut feed, &Record::Location(location("l1")), 2).await.unwrap();
    delete(&mut feed, &record, 2).await.unwrap();
    let listed = feed.list_organizations(request).await.unwrap().into_inner();
    assert_eq!(listed.organizations, []);
}
