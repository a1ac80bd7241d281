//! What somebody may start, with the notice beside it (R1, C7), and whom they may write to (R2).

use carepost_proto::{
    eligibility::v1::{
        ChartSummary, GetComposeOptionsResponse as Options, RegardableChart, list_eligible_recipients_request::List,
    },
    messaging::v1::{ConversationKind, GetComposeOptionsRequest, GetComposeOptionsResponse, ListRecipientsRequest},
};
use tonic::{Code, Status};

use crate::support::{Column, GUARDIAN, NURSE, Says, Service, fields, on_both, reason, retry_delay};

async fn options(service: &Service, person: &str, chart: Option<&str>) -> Result<GetComposeOptionsResponse, Status> {
    let request = GetComposeOptionsRequest {
        chart_id: chart.map(str::to_owned),
    };
    Ok(service.of(person).get_compose_options(request).await?.into_inner())
}

fn regardable(chart: &str, country: &str) -> RegardableChart {
    RegardableChart {
        chart: Some(ChartSummary {
            chart_id: chart.to_owned(),
            patient_name: format!("Patient of {chart}"),
            url: "https://emr.example.org".to_owned(),
        }),
        location_name: "The clinic".to_owned(),
        country: country.to_owned(),
    }
}

fn offer(portal: bool, staff: bool, country: &str, charts: Vec<RegardableChart>) -> Options {
    Options {
        portal,
        staff,
        charts,
        country: country.to_owned(),
    }
}

fn number(options: &GetComposeOptionsResponse) -> &str {
    &options.notice.as_ref().unwrap().emergency_number
}

const PORTAL: i32 = ConversationKind::Portal as i32;
const STAFF: i32 = ConversationKind::Staff as i32;

on_both!(r1_staff_start_what_eligibility_says);
async fn r1_staff_start_what_eligibility_says(column: Column) {
    let service = Service::start(column, "staff-options").await;
    service.eligibility.offers(None, offer(false, true, "US", Vec::new()));
    service
        .eligibility
        .offers(Some("chart-1"), offer(true, true, "AU", Vec::new()));
    service
        .eligibility
        .offers(Some("barred"), offer(false, false, "US", Vec::new()));
    let without = options(&service, NURSE, None).await.unwrap();
    assert_eq!((without.kinds.as_slice(), number(&without)), (&[STAFF][..], "911"));
    let with = options(&service, NURSE, Some("chart-1")).await.unwrap();
    assert_eq!((with.kinds.as_slice(), number(&with)), (&[PORTAL, STAFF][..], "000"));
    assert!(with.notice.unwrap().text.contains("call 000"));
    let barred = options(&service, NURSE, Some("barred")).await.unwrap();
    assert_eq!(barred.kinds, Vec::<i32>::new());
    assert_eq!(
        options(&service, NURSE, Some("none")).await.unwrap().kinds,
        barred.kinds
    );
    let wrong = options(&service, NURSE, Some("not an id")).await.unwrap_err();
    assert_eq!(
        (wrong.code(), fields(&wrong)),
        (Code::InvalidArgument, vec!["chart_id".to_owned()])
    );
}

on_both!(r1_a_portal_user_sees_their_charts_each_with_its_notice);
async fn r1_a_portal_user_sees_their_charts_each_with_its_notice(column: Column) {
    let service = Service::start(column, "portal-options").await;
    let charts = vec![regardable("chart-1", "GB"), regardable("chart-2", "")];
    // A portal user never starts a staff conversation, whoever says so.
    service
        .eligibility
        .offers(None, offer(true, true, "US", charts.clone()));
    service
        .eligibility
        .offers(Some("chart-1"), offer(true, false, "GB", charts));
    let all = options(&service, GUARDIAN, None).await.unwrap();
    assert_eq!((all.kinds.as_slice(), number(&all)), (&[PORTAL][..], "911"));
    let seen: Vec<_> = all
        .charts
        .iter()
        .map(|chart| {
            let notice = chart.notice.as_ref().unwrap();
            (
                chart.chart_id.as_str(),
                chart.location_name.as_str(),
                notice.emergency_number.as_str(),
            )
        })
        .collect();
    assert_eq!(
        seen,
        [("chart-1", "The clinic", "999"), ("chart-2", "The clinic", "112")]
    );
    assert_eq!(
        number(&options(&service, GUARDIAN, Some("chart-1")).await.unwrap()),
        "999"
    );
    // Nobody else is shown charts.
    assert!(options(&service, NURSE, None).await.unwrap().charts.is_empty());
}

on_both!(a_chart_that_is_not_theirs_reads_as_if_none_were_given);
async fn a_chart_that_is_not_theirs_reads_as_if_none_were_given(column: Column) {
    let service = Service::start(column, "foreign-options").await;
    let charts = vec![regardable("chart-1", "US")];
    service
        .eligibility
        .offers(None, offer(true, false, "US", charts.clone()));
    // Even if eligibility told where the foreign chart is.
    service
        .eligibility
        .offers(Some("foreign"), offer(false, false, "AU", charts.clone()));
    service
        .eligibility
        .offers(Some("nowhere"), offer(false, false, "US", charts));
    let none = options(&service, GUARDIAN, None).await.unwrap();
    for chart in ["foreign", "nowhere"] {
        assert_eq!(options(&service, GUARDIAN, Some(chart)).await.unwrap(), none, "{chart}");
    }
}

on_both!(r2_a_list_of_recipients_is_searched_by_name);
async fn r2_a_list_of_recipients_is_searched_by_name(column: Column) {
    let service = Service::start(column, "recipients").await;
    let request = ListRecipientsRequest {
        kind: PORTAL,
        chart_id: Some("chart-1".to_owned()),
        name_query: "guard".to_owned(),
        page_size: 7,
        ..Default::default()
    };
    service.of(NURSE).list_recipients(request.clone()).await.unwrap();
    let asked = service.eligibility.asked_recipients();
    assert_eq!((asked.name_query.as_str(), asked.page_size), ("guard", 7));
    assert!(matches!(asked.list, Some(List::PortalUsersForStaff(list)) if list.staff_id == "nurse"));
    service.of(GUARDIAN).list_recipients(request.clone()).await.unwrap();
    let asked = service.eligibility.asked_recipients();
    assert!(matches!(asked.list, Some(List::StaffForPortalUser(list)) if list.portal_user_id == "guardian"));

    for (wrong, field) in [
        (
            ListRecipientsRequest {
                kind: ConversationKind::Unspecified.into(),
                ..request.clone()
            },
            "kind",
        ),
        (
            ListRecipientsRequest {
                name_query: "é".repeat(201),
                ..request.clone()
            },
            "name_query",
        ),
        (
            ListRecipientsRequest {
                page_size: 101,
                ..request.clone()
            },
            "page_size",
        ),
        (
            ListRecipientsRequest {
                chart_id: Some(String::new()),
                ..request.clone()
            },
            "chart_id",
        ),
    ] {
        let refused = service.of(NURSE).list_recipients(wrong).await.unwrap_err();
        assert_eq!(
            (refused.code(), fields(&refused)),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
    let longest = ListRecipientsRequest {
        name_query: "é".repeat(200),
        ..request
    };
    service.of(NURSE).list_recipients(longest).await.unwrap();
}

on_both!(nobody_composes_while_eligibility_is_down);
async fn nobody_composes_while_eligibility_is_down(column: Column) {
    let service = Service::start(column, "compose-down").await;
    service.eligibility.says(Says::Nothing);
    let recipients = ListRecipientsRequest {
        kind: STAFF,
        ..Default::default()
    };
    let refused = [
        options(&service, NURSE, None).await.unwrap_err(),
        service.of(NURSE).list_recipients(recipients).await.unwrap_err(),
    ];
    for status in refused {
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::Unavailable, "DEPENDENCY_UNAVAILABLE")
        );
        assert!(retry_delay(&status).is_some());
    }
}
