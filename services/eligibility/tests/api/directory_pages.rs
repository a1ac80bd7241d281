//! Page tokens and wrong filters of the directory's lists.

use carepost_proto::eligibility::v1::{
    Chart, ListChartsRequest, ListPortalUsersRequest, ListStaffRequest, ListStaffResponse,
    import_directory_request::Record,
};
use tonic::{Code, Status};

use crate::{
    sample::{chart, put, staff},
    support::{Column, Feeding, Service, on_both, wrong_fields},
};

async fn page(feed: &mut Feeding, request: ListStaffRequest) -> Result<ListStaffResponse, Status> {
    feed.list_staff(request).await.map(tonic::Response::into_inner)
}

on_both!(a_page_token_is_good_for_the_list_it_came_from);
async fn a_page_token_is_good_for_the_list_it_came_from(column: Column) {
    let service = Service::start(column, "page_tokens").await;
    let mut feed = service.with_location("org").await;
    service.with_location("other").await;
    for id in ["s1", "s2", "s3"] {
        put(&mut feed, Record::Staff(staff(id)), 1).await.unwrap();
    }
    let first = ListStaffRequest {
        page_size: 1,
        ..Default::default()
    };
    let token = page(&mut feed, first.clone()).await.unwrap().next_page_token;
    let next = ListStaffRequest {
        page_size: 2,
        page_token: token,
        ..first
    };
    assert_eq!(page(&mut feed, next.clone()).await.unwrap().staff.len(), 2);
    let others = [
        ListStaffRequest {
            show_deleted: true,
            ..next.clone()
        },
        ListStaffRequest {
            active: Some(true),
            ..next.clone()
        },
        ListStaffRequest {
            location_id: "l1".to_owned(),
            ..next.clone()
        },
    ];
    for other in others {
        let refused = page(&mut feed, other).await.unwrap_err();
        assert_eq!(wrong_fields(&refused), ["page_token"]);
    }
    let refused = page(&mut service.feed("other"), next.clone()).await.unwrap_err();
    assert_eq!(
        (refused.code(), wrong_fields(&refused)),
        (Code::InvalidArgument, vec!["page_token".to_owned()])
    );
    let charts = ListChartsRequest {
        page_token: next.page_token,
        ..Default::default()
    };
    assert_eq!(
        wrong_fields(&feed.list_charts(charts).await.unwrap_err()),
        ["page_token"]
    );
}

on_both!(wrong_filters_are_named);
async fn wrong_filters_are_named(column: Column) {
    let service = Service::start(column, "wrong_filters").await;
    let mut feed = service.with_location("org").await;
    let wrong = ListStaffRequest {
        page_size: 101,
        role: 99,
        location_id: "with space".to_owned(),
        ..Default::default()
    };
    let refused = page(&mut feed, wrong).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["role", "location_id", "page_size"]);
    let wrong = ListChartsRequest {
        page_size: -1,
        patient_id: "é".to_owned(),
        care_team_staff_id: " ".to_owned(),
        ..Default::default()
    };
    let refused = feed.list_charts(wrong).await.unwrap_err();
    assert_eq!(
        wrong_fields(&refused),
        ["patient_id", "care_team_staff_id", "page_size"]
    );
    let wrong = ListPortalUsersRequest {
        status: -1,
        chart_id: "\n".to_owned(),
        page_token: "x".to_owned(),
        ..Default::default()
    };
    let refused = feed.list_portal_users(wrong).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["status", "chart_id", "page_token"]);
}

on_both!(a_page_of_very_long_records_is_cut_short_before_it_is_read);
async fn a_page_of_very_long_records_is_cut_short_before_it_is_read(column: Column) {
    let service = Service::start(column, "long_records").await;
    let mut feed = service.with_location("org").await;
    // All five would fit into an answer.
    for place in 0..5 {
        let long = Chart {
            care_team_ids: (0..10_000).map(|n| format!("s{n}")).collect(),
            ..chart(&format!("c{place}"), "l1")
        };
        put(&mut feed, Record::Chart(long), 1).await.unwrap();
    }
    put(&mut feed, Record::Chart(chart("c5", "l1")), 1).await.unwrap();
    let mut request = ListChartsRequest {
        page_size: 100,
        ..Default::default()
    };
    let mut pages = Vec::new();
    loop {
        let page = feed.list_charts(request.clone()).await.unwrap().into_inner();
        let charts = page.charts.into_iter().map(|record| record.chart.unwrap());
        pages.push(
            charts
                .map(|chart| (chart.id, chart.care_team_ids.len()))
                .collect::<Vec<_>>(),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2]);
    let listed: Vec<_> = pages.concat();
    let expected = (0..6).map(|place| (format!("c{place}"), if place < 5 { 10_000 } else { 1 }));
    assert_eq!(listed, expected.collect::<Vec<_>>());
}
