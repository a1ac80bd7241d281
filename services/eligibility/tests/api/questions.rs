//! CheckEligibility and BatchCheckEligibility beside the vectors: malformed questions, unknown ids, what else is told.

use carepost_proto::eligibility::v1::{
    Action, BatchCheckEligibilityRequest, ChartAccess, CheckEligibilityRequest, Decision, PortalParties,
    PutStaffRequest, Question, Staff, StaffParties, import_directory_request::Record, question::Parties,
};
use carepost_testkit::DirectoryFile;
use tonic::{Code, Status};

use crate::support::{Asking, Column, Service, on_both, reason, wrong_fields};

/// A hospital, and who can be asked about in it: a chart of theirs with somebody of its care team, and a portal user with
/// a confirmed connection to it.
async fn southern(column: Column) -> (Service, Staff, String, String) {
    let service = Service::start(column, "questions").await;
    let requests = DirectoryFile::southern().import_requests();
    service.import("southern", requests.clone()).await;
    let records: Vec<_> = requests.into_iter().filter_map(|request| request.record).collect();
    let user = records.iter().find_map(|record| match record {
        Record::PortalUser(user) => Some(user.clone()),
        _ => None,
    });
    let user = user.unwrap();
    let chart_id = user.connections[0].chart_id.clone();
    let staff_id = records.iter().find_map(|record| match record {
        Record::Chart(chart) if chart.id == chart_id => Some(chart.care_team_ids[0].clone()),
        _ => None,
    });
    let staff = records.into_iter().find_map(|record| match record {
        Record::Staff(staff) if Some(&staff.id) == staff_id.as_ref() => Some(staff),
        _ => None,
    });
    (service, staff.unwrap(), user.id, chart_id)
}

fn portal(staff_id: &str, portal_user_id: &str, chart_id: &str) -> Question {
    Question {
        action: Action::Start.into(),
        parties: Some(Parties::Portal(PortalParties {
            staff_id: staff_id.to_owned(),
            portal_user_id: portal_user_id.to_owned(),
            chart_id: chart_id.to_owned(),
            sent_by_portal_user: false,
        })),
    }
}

fn among_staff(sender: &str, recipients: &[&str], chart: Option<&str>) -> Question {
    Question {
        action: Action::Start.into(),
        parties: Some(Parties::Staff(StaffParties {
            sender_id: sender.to_owned(),
            recipient_ids: recipients.iter().map(|id| (*id).to_owned()).collect(),
            chart_id: chart.map(str::to_owned),
        })),
    }
}

async fn check(ask: &mut Asking, question: Question) -> Result<Decision, Status> {
    let question = Some(question);
    let answer = ask.check_eligibility(CheckEligibilityRequest { question }).await?;
    Ok(answer.into_inner().decision.unwrap())
}

fn reasons(decision: &Decision) -> Vec<(&'static str, &str)> {
    let name = |denial: &carepost_proto::eligibility::v1::Denial| {
        denial.reason().as_str_name().trim_start_matches("ELIGIBILITY_REASON_")
    };
    decision
        .denials
        .iter()
        .map(|denial| (name(denial), denial.party.as_str()))
        .collect()
}

on_both!(a_malformed_question_is_no_denial);
async fn a_malformed_question_is_no_denial(column: Column) {
    let service = Service::start(column, "malformed").await;
    let mut ask = service.ask("org");
    let many: Vec<_> = (0..51).map(|number| format!("s{number}")).collect();
    let many: Vec<_> = many.iter().map(String::as_str).collect();
    let unspecified = Question {
        action: 0,
        ..portal("s1", "u1", "c1")
    };
    let unheard_of = Question {
        action: 9,
        ..portal("s1", "u1", "c1")
    };
    let of_nobody = Question {
        parties: None,
        ..unspecified.clone()
    };
    for (question, fields) in [
        (among_staff("s1", &[], None), vec!["staff.recipient_ids"]),
        (among_staff("s1", &["s2", "s1"], None), vec!["staff.recipient_ids[1]"]),
        (
            among_staff("s1", &["s2", "s3", "s2"], None),
            vec!["staff.recipient_ids[2]"],
        ),
        (among_staff("s1", &many, None), vec!["staff.recipient_ids"]),
        (
            among_staff("", &["a b"], Some("")),
            vec!["staff.sender_id", "staff.chart_id", "staff.recipient_ids[0]"],
        ),
        (
            portal("", "", ""),
            vec!["portal.staff_id", "portal.portal_user_id", "portal.chart_id"],
        ),
        (unspecified, vec!["action"]),
        (unheard_of, vec!["action"]),
        (of_nobody, vec!["action", "parties"]),
    ] {
        let refused = check(&mut ask, question).await.unwrap_err();
        let fields: Vec<_> = fields.iter().map(|field| format!("question.{field}")).collect();
        assert_eq!(
            (refused.code(), wrong_fields(&refused)),
            (Code::InvalidArgument, fields)
        );
        assert_eq!(reason(&refused), "INVALID_REQUEST");
    }
    let refused = ask
        .check_eligibility(CheckEligibilityRequest::default())
        .await
        .unwrap_err();
    assert_eq!(wrong_fields(&refused), ["question"]);
}

on_both!(a_batch_has_1_to_100_questions_and_names_the_malformed_one);
async fn a_batch_has_1_to_100_questions_and_names_the_malformed_one(column: Column) {
    let service = Service::start(column, "batch").await;
    let mut ask = service.ask("org");
    for count in [0, 101] {
        let questions = vec![portal("s1", "u1", "c1"); count];
        let refused = ask
            .batch_check_eligibility(BatchCheckEligibilityRequest { questions })
            .await
            .unwrap_err();
        assert_eq!(
            (refused.code(), wrong_fields(&refused)),
            (Code::InvalidArgument, vec!["questions".to_owned()])
        );
    }
    let questions = vec![portal("s1", "u1", "c1"), among_staff("s1", &["s1"], None)];
    let refused = ask
        .batch_check_eligibility(BatchCheckEligibilityRequest { questions })
        .await
        .unwrap_err();
    assert_eq!(wrong_fields(&refused), ["questions[1].staff.recipient_ids[0]"]);
    // The largest that there can be.
    let names: Vec<_> = (0..50).map(|number| format!("r{number}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let questions = vec![among_staff("s1", &names, None); 100];
    let answer = ask
        .batch_check_eligibility(BatchCheckEligibilityRequest { questions })
        .await
        .unwrap();
    let decisions = answer.into_inner().decisions;
    assert_eq!((decisions.len(), decisions[99].denials.len()), (100, 51));
}

on_both!(unknown_parties_are_named_and_nothing_else);
async fn unknown_parties_are_named_and_nothing_else(column: Column) {
    let (service, staff, user, chart) = southern(column).await;
    let mut ask = service.ask("southern");
    let decision = check(&mut ask, portal("ghost", "phantom", "none")).await.unwrap();
    let expected = [
        ("UNKNOWN_CHART", ""),
        ("UNKNOWN_STAFF", "staff/ghost"),
        ("UNKNOWN_PORTAL_USER", "portal/phantom"),
    ];
    assert_eq!(reasons(&decision), expected);
    assert!(decision.parties.is_empty() && decision.chart.is_none() && decision.staff_chart_access.is_none());
    let decision = check(&mut ask, among_staff(&staff.id, &["b", "a"], Some(&chart)))
        .await
        .unwrap();
    assert_eq!(
        reasons(&decision),
        [("UNKNOWN_STAFF", "staff/a"), ("UNKNOWN_STAFF", "staff/b")]
    );

    // Of another organization nothing is known.
    let decision = check(&mut service.ask("prairie"), portal(&staff.id, &user, &chart))
        .await
        .unwrap();
    assert_eq!(reasons(&decision).len(), 3);
}

on_both!(an_answer_tells_names_and_chart_access_even_if_the_portal_user_is_unknown);
async fn an_answer_tells_names_and_chart_access_even_if_the_portal_user_is_unknown(column: Column) {
    let (service, staff, user, chart) = southern(column).await;
    let mut ask = service.ask("southern");
    let decision = check(&mut ask, portal(&staff.id, &user, &chart)).await.unwrap();
    let people: Vec<_> = decision.parties.iter().map(|party| party.person.clone()).collect();
    assert_eq!(people, [format!("portal/{user}"), format!("staff/{}", staff.id)]);
    assert_eq!(decision.parties[1].display_name, staff.name);
    assert_eq!(decision.chart.unwrap().chart_id, chart);
    assert!(decision.portal_user_connected);

    let decision = check(&mut ask, portal(&staff.id, "phantom", &chart)).await.unwrap();
    assert_eq!(decision.staff_chart_access, Some(ChartAccess::default()));
    assert!(!decision.portal_user_connected);
    let decision = check(&mut ask, portal("ghost", &user, &chart)).await.unwrap();
    assert!(decision.staff_chart_access.is_none() && decision.portal_user_connected);
    let decision = check(&mut ask, among_staff(&staff.id, &["ghost"], None)).await.unwrap();
    assert!(decision.staff_chart_access.is_none());
}

on_both!(a_change_takes_effect_on_the_next_call);
async fn a_change_takes_effect_on_the_next_call(column: Column) {
    let (service, mut staff, user, chart) = southern(column).await;
    let mut ask = service.ask("southern");
    let mut feed = service.feed("southern");
    for (version, active) in (1..).zip([false, true, false]) {
        staff.active = active;
        let put = PutStaffRequest {
            staff: Some(staff.clone()),
            version,
        };
        feed.put_staff(put).await.unwrap();
        let decision = check(&mut ask, portal(&staff.id, &user, &chart)).await.unwrap();
        let inactive = reasons(&decision).iter().any(|(reason, _)| *reason == "STAFF_INACTIVE");
        assert_eq!(inactive, !active);
    }
}

on_both!(i6_a_remedy_for_a_portal_user_is_nothing_that_only_administrators_can_do);
async fn i6_a_remedy_for_a_portal_user_is_nothing_that_only_administrators_can_do(column: Column) {
    let (service, mut staff, user, chart) = southern(column).await;
    let mut feed = service.feed("southern");
    staff.active = false;
    staff.roles.clear();
    staff.all_locations = false;
    staff.location_ids.clear();
    let put = PutStaffRequest {
        staff: Some(staff.clone()),
        version: 1,
    };
    feed.put_staff(put).await.unwrap();
    let mut ask = service.ask("southern");
    for (by_portal_user, for_administrators) in [(false, true), (true, false)] {
        let mut question = portal(&staff.id, &user, &chart);
        if let Some(Parties::Portal(parties)) = &mut question.parties {
            parties.sent_by_portal_user = by_portal_user;
        }
        let denials = check(&mut ask, question).await.unwrap().denials;
        assert!(denials.len() >= 2, "{denials:?}");
        for denial in denials {
            assert!(denial.remedy.contains("administrator"), "for operators: {denial:?}");
            assert_eq!(denial.remedy_for_sender.contains("administrator"), for_administrators);
            assert_eq!(denial.remedy_for_sender.contains("call the clinic"), by_portal_user);
        }
    }
}
