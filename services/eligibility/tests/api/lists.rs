//! ListEligibleRecipients (R2): exactly whom a start would be allowed to, in pages.

use std::collections::BTreeSet;

use carepost_proto::eligibility::v1::{
    Action, Audience, BatchCheckEligibilityRequest, Chart, EligibleRecipient, ListEligibleRecipientsRequest,
    MessagingSettings, MessagingSettingsSeed, PortalParties, PortalUser, PortalUsersForStaff, Question, Relationship,
    Staff, StaffForPortalUser, StaffForStaff, StaffParties, StaffRole, import_directory_request::Record,
    list_eligible_recipients_request::List, question::Parties,
};
use carepost_testkit::DirectoryFile;
use tonic::Code;

use crate::support::{Asking, Column, Service, on_both, wrong_fields};

fn request(list: List, page_size: i32) -> ListEligibleRecipientsRequest {
    ListEligibleRecipientsRequest {
        list: Some(list),
        page_size,
        ..Default::default()
    }
}

/// All pages.
async fn whole(ask: &mut Asking, list: List) -> Vec<EligibleRecipient> {
    let mut request = request(list, 7);
    let mut listed = Vec::new();
    loop {
        let page = ask
            .list_eligible_recipients(request.clone())
            .await
            .unwrap()
            .into_inner();
        assert!(page.recipients.len() <= 7);
        listed.extend(page.recipients);
        if page.next_page_token.is_empty() {
            return listed;
        }
        request.page_token = page.next_page_token;
    }
}

/// Those to whom a start is allowed, of everybody of a kind.
async fn allowed(
    ask: &mut Asking,
    everybody: &[String],
    question: impl Fn(&str) -> Option<Parties>,
) -> BTreeSet<String> {
    let mut allowed = BTreeSet::new();
    let asked: Vec<_> = everybody.iter().filter_map(|id| Some((id, question(id)?))).collect();
    for chunk in asked.chunks(100) {
        let questions = chunk.iter().map(|(_, parties)| Question {
            action: Action::Start.into(),
            parties: Some(parties.clone()),
        });
        let questions = questions.collect();
        let answer = ask
            .batch_check_eligibility(BatchCheckEligibilityRequest { questions })
            .await
            .unwrap();
        let decisions = answer.into_inner().decisions;
        let yes = chunk.iter().zip(decisions).filter(|(_, decision)| decision.allowed);
        allowed.extend(yes.map(|((id, _), _)| (*id).clone()));
    }
    allowed
}

fn ids(listed: Vec<EligibleRecipient>) -> BTreeSet<String> {
    listed
        .into_iter()
        .map(|recipient| recipient.person.split_once('/').unwrap().1.to_owned())
        .collect()
}

fn portal(staff: &str, user: &str, chart: &str, sent_by_portal_user: bool) -> Option<Parties> {
    Some(Parties::Portal(PortalParties {
        staff_id: staff.to_owned(),
        portal_user_id: user.to_owned(),
        chart_id: chart.to_owned(),
        sent_by_portal_user,
    }))
}

/// Who and what is in an imported directory.
#[derive(Default)]
struct Hospital {
    staff: Vec<String>,
    users: Vec<PortalUser>,
    charts: Vec<Chart>,
}

impl Hospital {
    async fn import(service: &Service, file: &DirectoryFile) -> Self {
        let requests = file.import_requests();
        service.import(file.organization_id(), requests.clone()).await;
        let mut hospital = Self::default();
        for record in requests.into_iter().filter_map(|request| request.record) {
            match record {
                Record::Staff(record) => hospital.staff.push(record.id),
                Record::PortalUser(record) => hospital.users.push(record),
                Record::Chart(record) => hospital.charts.push(record),
                _ => {}
            }
        }
        hospital
    }

    /// Somebody who is connected to the chart, if anybody is.
    fn user_of(&self, chart: &Chart) -> &PortalUser {
        let connected = |user: &&PortalUser| user.connections.iter().any(|to| to.chart_id == chart.id);
        self.users.iter().find(connected).unwrap_or(&self.users[0])
    }
}

on_both!(a_list_of_portal_users_holds_exactly_whom_a_start_is_allowed_to);
async fn a_list_of_portal_users_holds_exactly_whom_a_start_is_allowed_to(column: Column) {
    let service = Service::start(column, "portal_users").await;
    let mut in_all = 0;
    for file in [DirectoryFile::prairie(), DirectoryFile::southern()] {
        let hospital = Hospital::import(&service, &file).await;
        let mut ask = service.ask(file.organization_id());
        let users: Vec<_> = hospital.users.iter().map(|user| user.id.clone()).collect();
        for chart in hospital.charts.iter().step_by(3) {
            let member = chart.care_team_ids.first().unwrap_or(&hospital.staff[0]);
            let list = List::PortalUsersForStaff(PortalUsersForStaff {
                staff_id: member.clone(),
                chart_id: chart.id.clone(),
            });
            let listed = ids(whole(&mut ask, list).await);
            in_all += listed.len();
            let allowed = allowed(&mut ask, &users, |user| portal(member, user, &chart.id, false)).await;
            assert_eq!(listed, allowed);
        }
    }
    assert!(in_all > 10, "{in_all}");
}

on_both!(a_portal_users_list_holds_exactly_whom_a_start_is_allowed_to);
async fn a_portal_users_list_holds_exactly_whom_a_start_is_allowed_to(column: Column) {
    let service = Service::start(column, "for_portal_user").await;
    let mut in_all = 0;
    for file in [DirectoryFile::prairie(), DirectoryFile::southern()] {
        let hospital = Hospital::import(&service, &file).await;
        let mut ask = service.ask(file.organization_id());
        for chart in hospital.charts.iter().step_by(3) {
            let user = hospital.user_of(chart);
            let list = List::StaffForPortalUser(StaffForPortalUser {
                portal_user_id: user.id.clone(),
                chart_id: chart.id.clone(),
            });
            let listed = ids(whole(&mut ask, list).await);
            in_all += listed.len();
            let starts = |staff: &str| portal(staff, &user.id, &chart.id, true);
            assert_eq!(listed, allowed(&mut ask, &hospital.staff, starts).await);
        }
    }
    assert!(in_all > 10, "{in_all}");
}

on_both!(a_list_of_staff_holds_exactly_whom_a_start_is_allowed_to);
async fn a_list_of_staff_holds_exactly_whom_a_start_is_allowed_to(column: Column) {
    let service = Service::start(column, "staff_lists").await;
    let mut in_all = 0;
    for file in [DirectoryFile::prairie(), DirectoryFile::southern()] {
        let hospital = Hospital::import(&service, &file).await;
        let mut ask = service.ask(file.organization_id());
        for (number, chart) in hospital.charts.iter().step_by(5).enumerate() {
            let sender = chart.care_team_ids.first().unwrap_or(&hospital.staff[0]);
            let chart_id = (number % 2 == 0).then(|| chart.id.clone());
            let list = List::StaffForStaff(StaffForStaff {
                staff_id: sender.clone(),
                chart_id: chart_id.clone(),
            });
            let listed = ids(whole(&mut ask, list).await);
            in_all += listed.len();
            let among_staff = |other: &str| {
                let parties = StaffParties {
                    sender_id: sender.clone(),
                    recipient_ids: vec![other.to_owned()],
                    chart_id: chart_id.clone(),
                };
                (other != sender).then_some(Parties::Staff(parties))
            };
            assert_eq!(listed, allowed(&mut ask, &hospital.staff, among_staff).await);
        }
    }
    assert!(in_all > 10, "{in_all}");
}

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

/// An organization where everybody may write to everybody of the staff.
async fn open_house(service: &Service) {
    service.with_location("org").await;
    let settings = MessagingSettings {
        enabled: true,
        audience: Audience::SelectedUsers.into(),
    };
    let seed = Record::MessagingSettingsSeed(MessagingSettingsSeed {
        location_id: None,
        settings: Some(settings),
    });
    let people = [
        ("me", "Me"),
        ("1", "ann"),
        ("3", "ANN"),
        ("2", "Ann"),
        ("4", "Ärne"),
        ("5", "Zoe"),
        ("6", "a b"),
    ];
    let records = people.map(|(id, name)| staff(id, name)).into_iter().chain([seed]);
    let requests = records.map(|record| carepost_proto::eligibility::v1::ImportDirectoryRequest {
        version: 0,
        record: Some(record),
    });
    assert_eq!(service.import("org", requests.collect()).await.refused, 0);
}

fn for_me() -> List {
    List::StaffForStaff(StaffForStaff {
        staff_id: "me".to_owned(),
        chart_id: None,
    })
}

on_both!(a_list_is_by_lower_case_name_bytewise_then_by_id);
async fn a_list_is_by_lower_case_name_bytewise_then_by_id(column: Column) {
    let service = Service::start(column, "sorted").await;
    open_house(&service).await;
    let listed = whole(&mut service.ask("org"), for_me()).await;
    let people: Vec<_> = listed.iter().map(|recipient| recipient.person.as_str()).collect();
    assert_eq!(
        people,
        ["staff/6", "staff/1", "staff/2", "staff/3", "staff/5", "staff/4"]
    );
    assert!(
        listed
            .iter()
            .all(|recipient| recipient.relationship() == Relationship::Unspecified)
    );
    assert_eq!(listed[3].display_name, "ANN");
}

on_both!(a_page_token_leads_on_in_its_own_list_alone);
async fn a_page_token_leads_on_in_its_own_list_alone(column: Column) {
    let service = Service::start(column, "tokens").await;
    open_house(&service).await;
    let mut ask = service.ask("org");
    let first = ask
        .list_eligible_recipients(request(for_me(), 4))
        .await
        .unwrap()
        .into_inner();
    let mut second = request(for_me(), 4);
    second.page_token = first.next_page_token;
    let rest = ask.list_eligible_recipients(second.clone()).await.unwrap().into_inner();
    assert_eq!((first.recipients.len(), rest.recipients.len()), (4, 2));
    assert_eq!(rest.next_page_token, "");

    let elsewhere = List::StaffForStaff(StaffForStaff {
        staff_id: "1".to_owned(),
        chart_id: None,
    });
    let foreign = ListEligibleRecipientsRequest {
        list: Some(elsewhere),
        ..second.clone()
    };
    let refused = ask.list_eligible_recipients(foreign).await.unwrap_err();
    assert_eq!(
        (refused.code(), wrong_fields(&refused)),
        (Code::InvalidArgument, vec!["page_token".to_owned()])
    );
    let refused = service.ask("other").list_eligible_recipients(second).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["page_token"]);
    let refused = ask.list_eligible_recipients(request(for_me(), 101)).await.unwrap_err();
    assert_eq!(wrong_fields(&refused), ["page_size"]);
    let refused = ask
        .list_eligible_recipients(ListEligibleRecipientsRequest::default())
        .await
        .unwrap_err();
    assert_eq!(wrong_fields(&refused), ["list"]);
}

on_both!(who_is_unknown_has_nobody_to_write_to);
async fn who_is_unknown_has_nobody_to_write_to(column: Column) {
    let service = Service::start(column, "nobody").await;
    open_house(&service).await;
    let ghost = List::StaffForStaff(StaffForStaff {
        staff_id: "ghost".to_owned(),
        chart_id: None,
    });
    let nowhere = List::StaffForStaff(StaffForStaff {
        staff_id: "me".to_owned(),
        chart_id: Some("none".to_owned()),
    });
    for list in [ghost, nowhere] {
        assert!(whole(&mut service.ask("org"), list).await.is_empty());
    }
}
