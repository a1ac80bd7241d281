//! Bad input gets a clear status, with the path of each field, and nothing is written.

use carepost_proto::messaging::v1::{
    ListConversationsRequest, ListMessagesRequest, ReplyRequest, StartConversationRequest,
};
use tonic::Code;

use crate::support::{Column, GUARDIAN, NURSE, Service, fields, on_both, portal_start, reply_to};

on_both!(every_wrong_field_of_a_start_is_named);
async fn every_wrong_field_of_a_start_is_named(column: Column) {
    let service = Service::start(column, "fields").await;
    let staff = |count: usize| (0..count).map(|n| format!("staff/{n}")).collect::<Vec<_>>();
    let start = portal_start;
    let with = |recipients: &[&str]| StartConversationRequest {
        recipients: recipients.iter().map(|&text| text.to_owned()).collect(),
        ..start()
    };
    let cases: Vec<(&str, StartConversationRequest, &[&str])> = vec![
        (
            "no request id",
            StartConversationRequest {
                request_id: String::new(),
                ..start()
            },
            &["request_id"],
        ),
        (
            "a long request id",
            StartConversationRequest {
                request_id: "x".repeat(129),
                ..start()
            },
            &["request_id"],
        ),
        ("nobody", with(&[]), &["recipients"]),
        (
            "51",
            StartConversationRequest {
                recipients: staff(51),
                chart_id: None,
                ..start()
            },
            &["recipients"],
        ),
        ("two portal users", with(&["portal/1", "portal/2"]), &["recipients"]),
        ("staff and portal user", with(&["staff/1", "portal/2"]), &["recipients"]),
        ("twice", with(&["staff/1", "staff/1"]), &["recipients[1]"]),
        ("oneself", with(&[NURSE]), &["recipients[0]"]),
        (
            "no person",
            with(&["staff/1", "patient/1", "staff/"]),
            &["recipients[1]", "recipients[2]"],
        ),
        (
            "no chart",
            StartConversationRequest {
                chart_id: None,
                ..start()
            },
            &["chart_id"],
        ),
        (
            "a broken chart",
            StartConversationRequest {
                chart_id: Some("a b".to_owned()),
                ..start()
            },
            &["chart_id"],
        ),
        (
            "a long subject",
            StartConversationRequest {
                subject: "é".repeat(201),
                ..start()
            },
            &["subject"],
        ),
        (
            "a subject of two lines",
            StartConversationRequest {
                subject: "a\nb".to_owned(),
                ..start()
            },
            &["subject"],
        ),
        (
            "no body",
            StartConversationRequest {
                body: " \n".to_owned(),
                ..start()
            },
            &["body"],
        ),
        (
            "a long body",
            StartConversationRequest {
                body: "é".repeat(10_001),
                ..start()
            },
            &["body"],
        ),
        (
            "a control character",
            StartConversationRequest {
                body: "a\0b".to_owned(),
                ..start()
            },
            &["body"],
        ),
        (
            "all wrong",
            StartConversationRequest::default(),
            &["request_id", "body", "recipients"],
        ),
    ];
    for (case, request, expected) in cases {
        let refused = service.of(NURSE).start_conversation(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{case}");
        assert_eq!(fields(&refused), expected, "{case}");
    }
    assert_eq!(service.eligibility.asked(), 0);
    assert_eq!(service.mailbox(GUARDIAN).await.revision, 0);
}

on_both!(a_portal_user_writes_to_one_member_of_staff);
async fn a_portal_user_writes_to_one_member_of_staff(column: Column) {
    let service = Service::start(column, "portal-fields").await;
    for (recipients, field) in [
        (vec!["portal/2"], "recipients[0]"),
        (vec!["staff/1", "staff/2"], "recipients"),
    ] {
        let recipients = recipients.into_iter().map(str::to_owned).collect();
        let request = StartConversationRequest {
            recipients,
            ..portal_start()
        };
        assert_eq!(
            fields(&service.of(GUARDIAN).start_conversation(request).await.unwrap_err()),
            [field]
        );
    }
}

on_both!(fifty_recipients_are_allowed);
async fn fifty_recipients_are_allowed(column: Column) {
    let service = Service::start(column, "fifty").await;
    let recipients = (0..50).map(|n| format!("staff/{n}")).collect();
    let request = StartConversationRequest {
        recipients,
        chart_id: None,
        ..portal_start()
    };
    service.of(NURSE).start_conversation(request).await.unwrap();
    assert_eq!(service.badge("staff/49").await, 1);
}

on_both!(wrong_fields_of_other_calls_are_named);
async fn wrong_fields_of_other_calls_are_named(column: Column) {
    let service = Service::start(column, "other-fields").await;
    let reply = ReplyRequest {
        conversation_id: "1".to_owned(),
        body: String::new(),
        ..reply_to("")
    };
    let refused = service.of(NURSE).reply(reply).await.unwrap_err();
    assert_eq!(fields(&refused), ["conversation_id", "body"]);
    let list = ListConversationsRequest {
        page_size: 101,
        page_token: "AAAA".to_owned(),
        ..Default::default()
    };
    let refused = service.of(NURSE).list_conversations(list).await.unwrap_err();
    assert_eq!(fields(&refused), ["page_size", "page_token"]);
    let list = ListMessagesRequest {
        page_size: -1,
        after_sequence: -1,
        ..Default::default()
    };
    let refused = service.of(NURSE).list_messages(list).await.unwrap_err();
    assert_eq!(fields(&refused), ["conversation_id", "page_size", "after_sequence"]);
}

on_both!(a_request_beyond_the_size_limit_is_refused);
async fn a_request_beyond_the_size_limit_is_refused(column: Column) {
    let service = Service::start(column, "size").await;
    let request = StartConversationRequest {
        body: "x".repeat(300 * 1024),
        ..portal_start()
    };
    let refused = service.of(NURSE).start_conversation(request).await.unwrap_err();
    assert_eq!(
        (refused.code(), crate::support::reason(&refused).as_str()),
        (Code::OutOfRange, "REQUEST_TOO_LARGE")
    );
    assert_eq!(service.mailbox(GUARDIAN).await.revision, 0);
}
