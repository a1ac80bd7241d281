//! BatchGetNames, and the search for names in lists of recipients.

use carepost_proto::eligibility::v1::{
    AccountStatus, Audience, BatchGetNamesRequest, Chart, Connection, ConnectionStatus, DeleteStaffRequest,
    ImportDirectoryRequest, ListEligibleRecipientsRequest, PortalUser, PortalUsersForStaff, Relationship, Staff,
    StaffForPortalUser, StaffForStaff, StaffRole, import_directory_request::Record,
    list_eligible_recipients_request::List,
};
use tonic::{Code, Status};

use crate::{
    administration::{on, set},
    support::{Asking, Column, Service, on_both, wrong_fields},
};

const NAMES: [&str; 8] = [
    "Łucja O'Neil-Sæther",
    "JOSÉ Müller",
    "Jose Muller",
    "Ann 100%",
    "Ann_Lee",
    "AnnaLee!",
    "Ωmega Straße",
    "张伟",
];

fn staff(id: &str, name: &str) -> Record {
    Record::Staff(Staff {
        id: id.to_owned(),
        name: name.to_owned(),
        active: true,
        all_locations: true,
        roles: vec![StaffRole::AvailableForPortalMessages.into()],
        ..Staff::default()
    })
}

async fn import(service: &Service, records: Vec<Record>) {
    let requests = records.into_iter().map(|record| ImportDirectoryRequest {
        version: 0,
        record: Some(record),
    });
    assert_eq!(service.import("org", requests.collect()).await.refused, 0);
}

/// Staff with these names, and `me`.
async fn named(service: &Service) {
    service.with_location("org").await;
    set(&mut service.administer("org"), None, Some(on(Audience::SelectedUsers))).await;
    let mut records: Vec<_> = NAMES
        .iter()
        .enumerate()
        .map(|(number, name)| staff(&number.to_string(), name))
        .collect();
    records.push(staff("me", "Me"));
    import(service, records).await;
}

fn request(query: &str) -> ListEligibleRecipientsRequest {
    let list = StaffForStaff {
        staff_id: "me".to_owned(),
        chart_id: None,
    };
    ListEligibleRecipientsRequest {
        list: Some(List::StaffForStaff(list)),
        page_size: 2,
        name_query: query.to_owned(),
        ..Default::default()
    }
}

/// The names that are found, in pages of two.
async fn found(ask: &mut Asking, query: &str) -> Result<Vec<String>, Status> {
    let mut request = request(query);
    let mut names = Vec::new();
    loop {
        let page = ask.list_eligible_recipients(request.clone()).await?.into_inner();
        names.extend(page.recipients.into_iter().map(|recipient| recipient.display_name));
        if page.next_page_token.is_empty() {
            return Ok(names);
        }
        request.page_token = page.next_page_token;
    }
}

on_both!(names_are_found_whatever_their_case_and_accents);
async fn names_are_found_whatever_their_case_and_accents(column: Column) {
    let service = Service::start(column, "name_search").await;
    named(&service).await;
    let mut ask = service.ask("org");
    let expected: [(&str, &[usize]); 13] = [
        ("lucja", &[0]),
        ("sæther", &[0]),
        ("MULLER", &[2, 1]),
        ("josé m", &[2, 1]),
        ("  müller ", &[2, 1]),
        ("strasse", &[6]),
        ("张", &[7]),
        // What means something to a database means itself.
        ("%", &[3]),
        ("_", &[4]),
        ("!", &[5]),
        ("ann_", &[4]),
        ("nothing", &[]),
        ("' OR 1=1 --", &[]),
    ];
    for (query, places) in expected {
        let names: Vec<_> = places.iter().map(|place| NAMES[*place].to_owned()).collect();
        assert_eq!(found(&mut ask, query).await.unwrap(), names, "{query}");
    }
    for query in ["", "   "] {
        assert_eq!(found(&mut ask, query).await.unwrap().len(), NAMES.len());
    }
    assert!(found(&mut ask, &"é".repeat(200)).await.unwrap().is_empty());
    assert!(found(&mut ask, "a\u{0}b").await.unwrap().is_empty());
    let refused = found(&mut ask, &"é".repeat(201)).await.unwrap_err();
    assert_eq!(
        (refused.code(), wrong_fields(&refused)),
        (Code::InvalidArgument, vec!["name_query".to_owned()])
    );
}

on_both!(every_list_can_be_searched);
async fn every_list_can_be_searched(column: Column) {
    let service = Service::start(column, "searched_lists").await;
    named(&service).await;
    let chart = Chart {
        id: "c1".to_owned(),
        patient_id: "p1".to_owned(),
        patient_name: "Pat".to_owned(),
        location_id: "l1".to_owned(),
        care_team_ids: (0..NAMES.len()).map(|number| number.to_string()).collect(),
        ..Chart::default()
    };
    let users = NAMES.iter().enumerate().map(|(number, name)| {
        Record::PortalUser(PortalUser {
            id: number.to_string(),
            name: (*name).to_owned(),
            email: "somebody@example.org".to_owned(),
            status: AccountStatus::Active.into(),
            connections: vec![Connection {
                chart_id: "c1".to_owned(),
                relationship: Relationship::Guardian.into(),
                status: ConnectionStatus::Confirmed.into(),
            }],
            locale: String::new(),
        })
    });
    let records = [Record::Chart(chart)].into_iter().chain(users).collect();
    import(&service, records).await;
    let of_users = List::PortalUsersForStaff(PortalUsersForStaff {
        staff_id: "0".to_owned(),
        chart_id: "c1".to_owned(),
    });
    let of_staff = List::StaffForPortalUser(StaffForPortalUser {
        portal_user_id: "0".to_owned(),
        chart_id: "c1".to_owned(),
    });
    for audience in [Audience::CareTeamOnly, Audience::SelectedUsers] {
        set(&mut service.administer("org"), None, Some(on(audience))).await;
        for list in [&of_users, &of_staff] {
            for (name_query, places) in [("muller", [2, 1].as_slice()), ("%", &[3]), ("nobody", &[])] {
                let request = ListEligibleRecipientsRequest {
                    list: Some(list.clone()),
                    name_query: name_query.to_owned(),
                    ..Default::default()
                };
                let page = service
                    .ask("org")
                    .list_eligible_recipients(request)
                    .await
                    .unwrap()
                    .into_inner();
                let names: Vec<_> = page
                    .recipients
                    .into_iter()
                    .map(|recipient| recipient.display_name)
                    .collect();
                let expected: Vec<_> = places.iter().map(|place| NAMES[*place]).collect();
                assert_eq!(names, expected, "{list:?} {name_query}");
            }
        }
    }
}

on_both!(a_name_that_changed_is_found_by_the_new_one);
async fn a_name_that_changed_is_found_by_the_new_one(column: Column) {
    let service = Service::start(column, "renamed").await;
    named(&service).await;
    let mut ask = service.ask("org");
    import(&service, vec![staff("0", "Zoë")]).await;
    assert_eq!(found(&mut ask, "zoe").await.unwrap(), ["Zoë"]);
    assert!(found(&mut ask, "lucja").await.unwrap().is_empty());
}

on_both!(a_token_leads_on_with_the_same_query_alone);
async fn a_token_leads_on_with_the_same_query_alone(column: Column) {
    let service = Service::start(column, "query_tokens").await;
    named(&service).await;
    let mut ask = service.ask("org");
    let first = ask.list_eligible_recipients(request("ann")).await.unwrap().into_inner();
    assert!(!first.next_page_token.is_empty());
    let mut same = request(" ANN");
    same.page_token = first.next_page_token.clone();
    assert_eq!(
        ask.list_eligible_recipients(same)
            .await
            .unwrap()
            .into_inner()
            .recipients
            .len(),
        1
    );
    for query in ["", "anna"] {
        let mut other = request(query);
        other.page_token = first.next_page_token.clone();
        let refused = ask.list_eligible_recipients(other).await.unwrap_err();
        assert_eq!(wrong_fields(&refused), ["page_token"]);
    }
}

fn asked(persons: &[&str], charts: &[&str]) -> BatchGetNamesRequest {
    let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
    BatchGetNamesRequest {
        persons: texts(persons),
        chart_ids: texts(charts),
    }
}

on_both!(names_are_told_in_the_order_of_the_request);
async fn names_are_told_in_the_order_of_the_request(column: Column) {
    let service = Service::start(column, "names").await;
    service.with_location("org").await;
    let user = PortalUser {
        id: "1".to_owned(),
        name: "Una".to_owned(),
        status: AccountStatus::Invited.into(),
        ..PortalUser::default()
    };
    let chart = Chart {
        id: "1".to_owned(),
        patient_id: "p1".to_owned(),
        patient_name: "Pat".to_owned(),
        location_id: "l1".to_owned(),
        url: "https://emr.example.org/charts/1".to_owned(),
        ..Chart::default()
    };
    let records = vec![
        staff("1", "Ann"),
        staff("2", "Bob"),
        Record::PortalUser(user),
        Record::Chart(chart),
    ];
    import(&service, records).await;
    let mut ask = service.ask("org");
    let persons = ["staff/2", "portal/1", "staff/3", "portal/2", "staff/1"];
    let names = ask
        .batch_get_names(asked(&persons, &["2", "1"]))
        .await
        .unwrap()
        .into_inner();
    let told: Vec<_> = names
        .persons
        .iter()
        .map(|party| (party.person.as_str(), party.display_name.as_str()))
        .collect();
    assert_eq!(told, [("staff/2", "Bob"), ("portal/1", "Una"), ("staff/1", "Ann")]);
    let [chart] = names.charts.as_slice() else {
        panic!("one: {:?}", names.charts)
    };
    assert_eq!(
        (chart.chart_id.as_str(), chart.patient_name.as_str(), chart.url.as_str()),
        ("1", "Pat", "")
    );

    let only_charts = ask.batch_get_names(asked(&[], &["1"])).await.unwrap().into_inner();
    assert_eq!((only_charts.persons.len(), only_charts.charts.len()), (0, 1));
    let nothing = ask.batch_get_names(asked(&[], &[])).await.unwrap().into_inner();
    assert_eq!((nothing.persons.len(), nothing.charts.len()), (0, 0));
    // Who is deleted has a name still; who never was has none.
    for id in ["1", "4"] {
        let delete = DeleteStaffRequest {
            staff_id: id.to_owned(),
            version: 9,
        };
        service.feed("org").delete_staff(delete).await.unwrap();
    }
    let gone = ask
        .batch_get_names(asked(&["staff/4", "staff/1"], &[]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!((gone.persons.len(), gone.persons[0].display_name.as_str()), (1, "Ann"));
    let elsewhere = service
        .ask("other")
        .batch_get_names(asked(&persons, &["1"]))
        .await
        .unwrap();
    assert!(elsewhere.into_inner().persons.is_empty());
}

on_both!(up_to_a_thousand_names_are_told_at_once);
async fn up_to_a_thousand_names_are_told_at_once(column: Column) {
    let service = Service::start(column, "many_names").await;
    service.with_location("org").await;
    let ids: Vec<_> = (0..1_000).map(|number| format!("s{number}")).collect();
    import(&service, ids.iter().map(|id| staff(id, id)).collect()).await;
    let mut ask = service.ask("org");
    let mut request = BatchGetNamesRequest {
        persons: ids.iter().map(|id| format!("staff/{id}")).collect(),
        chart_ids: vec![],
    };
    let names = ask.batch_get_names(request.clone()).await.unwrap().into_inner().persons;
    assert!(names.iter().map(|party| &party.display_name).eq(&ids));
    request.chart_ids.push("c1".to_owned());
    let refused = ask.batch_get_names(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), wrong_fields(&refused)),
        (Code::InvalidArgument, vec!["persons".to_owned()])
    );
    let refused = ask
        .batch_get_names(asked(&["staff/1", "1"], &["", "a"]))
        .await
        .unwrap_err();
    assert_eq!(wrong_fields(&refused), ["persons[1]", "chart_ids[0]"]);
}
