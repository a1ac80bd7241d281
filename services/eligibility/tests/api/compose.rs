//! GetComposeOptions (R1): what a person may start, which charts they can regard, and where a chart is linked (C2).

use carepost_proto::eligibility::v1::{
    AccountStatus, Action, Audience, BatchCheckEligibilityRequest, Chart, ConnectionStatus, Decision,
    GetComposeOptionsRequest, GetComposeOptionsResponse, ImportDirectoryRequest, Location, MessagingSettings,
    PortalParties, PutChartRequest, PutLocationRequest, PutStaffRequest, Question, Staff, StaffParties, StaffRole,
    get_compose_options_request::Sender, import_directory_request::Record, question::Parties,
};
use tonic::Code;

use crate::{
    administration::{on, set},
    support::{Asking, Column, Feeding, Service, on_both, wrong_fields},
};

async fn options(ask: &mut Asking, sender: Sender, chart: Option<&str>) -> GetComposeOptionsResponse {
    let request = GetComposeOptionsRequest {
        sender: Some(sender),
        chart_id: chart.map(str::to_owned),
    };
    ask.get_compose_options(request).await.unwrap().into_inner()
}

pub async fn of_staff(ask: &mut Asking, id: &str, chart: Option<&str>) -> (bool, bool) {
    let options = options(ask, Sender::StaffId(id.to_owned()), chart).await;
    assert!(options.charts.is_empty());
    (options.portal, options.staff)
}

pub async fn of_user(ask: &mut Asking, id: &str, chart: Option<&str>) -> GetComposeOptionsResponse {
    let options = options(ask, Sender::PortalUserId(id.to_owned()), chart).await;
    assert!(!options.staff);
    options
}

/// The decisions on two starts.
pub async fn decisions(ask: &mut Asking, parties: [Parties; 2]) -> Vec<Decision> {
    let questions = parties.map(|parties| Question {
        action: Action::Start.into(),
        parties: Some(parties),
    });
    let questions = questions.to_vec();
    let answer = ask
        .batch_check_eligibility(BatchCheckEligibilityRequest { questions })
        .await;
    answer.unwrap().into_inner().decisions
}

async fn put_staff(feed: &mut Feeding, staff: Staff, version: i64) {
    let staff = Some(staff);
    feed.put_staff(PutStaffRequest { staff, version }).await.unwrap();
}

async fn put_chart(feed: &mut Feeding, chart: Chart, version: i64) {
    let chart = Some(chart);
    feed.put_chart(PutChartRequest { chart, version }).await.unwrap();
}

fn nurse() -> Staff {
    Staff {
        id: "nurse".to_owned(),
        name: "Nora".to_owned(),
        active: true,
        roles: vec![StaffRole::AvailableForPortalMessages.into()],
        location_ids: vec!["l1".to_owned()],
        ..Staff::default()
    }
}

fn chart() -> Chart {
    Chart {
        id: "c1".to_owned(),
        patient_id: "p1".to_owned(),
        patient_name: "Pat".to_owned(),
        location_id: "l1".to_owned(),
        care_team_ids: vec!["nurse".to_owned()],
        url: "https://emr.example.org/charts/c1".to_owned(),
        ..Chart::default()
    }
}

/// The nurse on the care team of a chart, and its patient `u1`, who has a connection to a chart of nobody as well.
async fn ward(service: &Service) -> Feeding {
    use carepost_proto::eligibility::v1::{Connection, PortalUser, Relationship};
    let mut feed = service.with_location("org").await;
    set(&mut service.administer("org"), None, Some(on(Audience::CareTeamOnly))).await;
    let abroad = Location {
        id: "l2".to_owned(),
        name: "Abroad".to_owned(),
        country: "NZ".to_owned(),
    };
    let location = Some(abroad);
    feed.put_location(PutLocationRequest { location, version: 1 })
        .await
        .unwrap();
    put_staff(&mut feed, nurse(), 1).await;
    put_chart(&mut feed, chart(), 1).await;
    let nobodys = Chart {
        id: "c2".to_owned(),
        location_id: "l2".to_owned(),
        care_team_ids: vec![],
        ..chart()
    };
    put_chart(&mut feed, nobodys, 1).await;
    let connection = |chart: &str| Connection {
        chart_id: chart.to_owned(),
        relationship: Relationship::Self_.into(),
        status: ConnectionStatus::Confirmed.into(),
    };
    let user = PortalUser {
        id: "u1".to_owned(),
        name: "Pat".to_owned(),
        email: "pat@example.org".to_owned(),
        status: AccountStatus::Active.into(),
        connections: vec![connection("c1"), connection("c2")],
        locale: String::new(),
    };
    let request = ImportDirectoryRequest {
        version: 0,
        record: Some(Record::PortalUser(user)),
    };
    assert_eq!(service.import("org", vec![request]).await.refused, 0);
    feed
}

on_both!(without_a_chart_only_staff_and_without_the_role_nothing);
async fn without_a_chart_only_staff_and_without_the_role_nothing(column: Column) {
    let service = Service::start(column, "types").await;
    let mut feed = ward(&service).await;
    let mut ask = service.ask("org");
    assert_eq!(of_staff(&mut ask, "nurse", None).await, (false, true));
    assert_eq!(of_staff(&mut ask, "nurse", Some("c1")).await, (true, true));
    // A chart that is not there, or at a location out of reach.
    assert_eq!(of_staff(&mut ask, "nurse", Some("none")).await, (false, false));
    assert_eq!(of_staff(&mut ask, "nurse", Some("c2")).await, (false, false));
    assert_eq!(of_staff(&mut ask, "nobody", Some("c1")).await, (false, false));

    let barred = Chart {
        barred_staff_ids: vec!["nurse".to_owned()],
        ..chart()
    };
    put_chart(&mut feed, barred, 2).await;
    assert_eq!(of_staff(&mut ask, "nurse", Some("c1")).await, (false, false));
    let off_the_team = Chart {
        care_team_ids: vec![],
        ..chart()
    };
    put_chart(&mut feed, off_the_team, 3).await;
    assert_eq!(of_staff(&mut ask, "nurse", Some("c1")).await, (false, true));
    set(
        &mut service.administer("org"),
        Some("l1"),
        Some(on(Audience::SelectedUsers)),
    )
    .await;
    assert_eq!(of_staff(&mut ask, "nurse", Some("c1")).await, (true, true));
    set(
        &mut service.administer("org"),
        Some("l1"),
        Some(MessagingSettings::default()),
    )
    .await;
    assert_eq!(of_staff(&mut ask, "nurse", Some("c1")).await, (false, false));
    assert_eq!(of_staff(&mut ask, "nurse", None).await, (false, false));

    set(&mut service.administer("org"), Some("l1"), None).await;
    let without_role = Staff {
        roles: vec![],
        ..nurse()
    };
    put_staff(&mut feed, without_role, 2).await;
    for chart in [None, Some("c1")] {
        assert_eq!(of_staff(&mut ask, "nurse", chart).await, (false, false));
    }
}

on_both!(the_country_is_the_charts_for_whom_may_know_of_it);
async fn the_country_is_the_charts_for_whom_may_know_of_it(column: Column) {
    let service = Service::start(column, "countries").await;
    let mut feed = ward(&service).await;
    let mut ask = service.ask("org");
    let staff = || Sender::StaffId("nurse".to_owned());
    let user = |id: &str| Sender::PortalUserId(id.to_owned());
    for (sender, chart, country) in [
        (staff(), None, "AU"),
        (staff(), Some("c1"), "AU"),
        (staff(), Some("none"), "AU"),
        // Out of the nurse's reach, but the patient's own.
        (staff(), Some("c2"), "AU"),
        (user("u1"), Some("c2"), "NZ"),
        (user("u1"), Some("c1"), "AU"),
        (user("u1"), None, "AU"),
        (user("nobody"), Some("c2"), "AU"),
    ] {
        assert_eq!(
            options(&mut ask, sender.clone(), chart).await.country,
            country,
            "{sender:?} {chart:?}"
        );
    }
    let everywhere = Staff {
        all_locations: true,
        ..nurse()
    };
    put_staff(&mut feed, everywhere, 2).await;
    assert_eq!(options(&mut ask, staff(), Some("c2")).await.country, "NZ");
    let nowhere = options(&mut service.ask("nowhere"), staff(), None).await;
    assert_eq!(nowhere, GetComposeOptionsResponse::default());
}

on_both!(a_portal_user_is_told_where_a_chart_is_and_no_link);
async fn a_portal_user_is_told_where_a_chart_is_and_no_link(column: Column) {
    let service = Service::start(column, "told_charts").await;
    ward(&service).await;
    let mut ask = service.ask("org");
    let told = of_user(&mut ask, "u1", None).await;
    let [regardable] = told.charts.as_slice() else {
        panic!("one: {told:?}");
    };
    let summary = regardable.chart.clone().unwrap();
    assert_eq!(
        (
            summary.chart_id.as_str(),
            summary.patient_name.as_str(),
            summary.url.as_str()
        ),
        ("c1", "Pat", "")
    );
    assert_eq!(
        (regardable.location_name.as_str(), regardable.country.as_str()),
        ("Clinic", "AU")
    );
    assert!(told.portal && of_user(&mut ask, "u1", Some("c1")).await.portal);
    let other = of_user(&mut ask, "u1", Some("c2")).await;
    assert_eq!((other.portal, other.charts), (false, told.charts));
    let nobody = of_user(&mut ask, "nobody", Some("c1")).await;
    assert!(!nobody.portal && nobody.charts.is_empty());
}

on_both!(a_chart_is_linked_only_for_staff_who_may_see_it);
async fn a_chart_is_linked_only_for_staff_who_may_see_it(column: Column) {
    let service = Service::start(column, "links").await;
    let mut feed = ward(&service).await;
    let mut ask = service.ask("org");
    put_staff(
        &mut feed,
        Staff {
            id: "other".to_owned(),
            ..nurse()
        },
        1,
    )
    .await;
    let mut urls = async || {
        let portal = |sent_by_portal_user| {
            Parties::Portal(PortalParties {
                staff_id: "nurse".to_owned(),
                portal_user_id: "u1".to_owned(),
                chart_id: "c1".to_owned(),
                sent_by_portal_user,
            })
        };
        let among_staff = Parties::Staff(StaffParties {
            sender_id: "nurse".to_owned(),
            recipient_ids: vec!["other".to_owned()],
            chart_id: Some("c1".to_owned()),
        });
        let mut told = decisions(&mut ask, [portal(false), among_staff]).await;
        told.extend(decisions(&mut ask, [portal(true), portal(true)]).await);
        let url = |decision: &Decision| decision.chart.as_ref().unwrap().url.clone();
        [url(&told[0]), url(&told[1]), url(&told[2])]
    };
    let link = chart().url;
    assert_eq!(urls().await, [link.clone(), link.clone(), String::new()]);
    // Neither role nor account has to do with it.
    put_staff(
        &mut feed,
        Staff {
            roles: vec![],
            ..nurse()
        },
        2,
    )
    .await;
    assert_eq!(urls().await, [link.clone(), link, String::new()]);
    put_staff(
        &mut feed,
        Staff {
            location_ids: vec![],
            ..nurse()
        },
        3,
    )
    .await;
    assert_eq!(urls().await, [""; 3]);
    put_staff(&mut feed, nurse(), 4).await;
    let barred = Chart {
        barred_staff_ids: vec!["nurse".to_owned()],
        ..chart()
    };
    put_chart(&mut feed, barred, 2).await;
    assert_eq!(urls().await, [""; 3]);
}

on_both!(a_question_about_nobody_is_refused);
async fn a_question_about_nobody_is_refused(column: Column) {
    let service = Service::start(column, "no_sender").await;
    let mut ask = service.ask("org");
    let wrong = [
        (None, None, "sender"),
        (Some(Sender::StaffId(String::new())), None, "staff_id"),
        (Some(Sender::PortalUserId("a b".to_owned())), None, "portal_user_id"),
        (Some(Sender::StaffId("a".to_owned())), Some(String::new()), "chart_id"),
    ];
    for (sender, chart_id, field) in wrong {
        let refused = ask
            .get_compose_options(GetComposeOptionsRequest { sender, chart_id })
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code(), wrong_fields(&refused)),
            (Code::InvalidArgument, vec![field.to_owned()])
        );
    }
}
