//! The story that everything is for: a message to a guardian, the email, the answer, the badge. On real parts, through
//! three processes.

use carepost_proto::messaging::v1::{
    ConversationKind, GetUnreadCountRequest, ListConversationsRequest, ListMessagesRequest, ListRecipientsRequest,
    MarkReadRequest, ReplyRequest, StartConversationRequest,
};
use carepost_suite::{Suite, process::Service, wait::LONG};
use carepost_testkit::DirectoryFile;
use tonic::Code;
use tonic_types::StatusExt;

use crate::traffic::{PRAIRIE, Pair, SOUTHERN, reply, request_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_travels_in_both_hospitals() {
    let suite = Suite::start("story").await;
    for (pair, file, brand) in [
        (PRAIRIE, DirectoryFile::prairie(), "Prairie Health Network"),
        (SOUTHERN, DirectoryFile::southern(), "Southern Care Group"),
    ] {
        let report = suite.import(&file).await;
        assert_eq!((report.refused, report.changed), (0, 0), "{:?}", report.refusals);
        let conversation = staff_writes(&suite, pair).await;
        an_email_without_health_information_arrives(&suite, pair, brand).await;
        the_guardian_answers(&suite, pair, &conversation).await;
        the_badge_goes_up_and_down(&suite, pair, &conversation).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn c2_staff_write_to_two_colleagues_and_nobody_gets_an_email() {
    let suite = Suite::start("colleagues").await;
    suite.import(&DirectoryFile::prairie()).await;
    let mut doctor = suite.person("prairie", PRAIRIE.staff);
    let request = ListRecipientsRequest {
        kind: ConversationKind::Staff.into(),
        page_size: 2,
        ..Default::default()
    };
    let colleagues = doctor.list_recipients(request).await.unwrap().into_inner().recipients;
    let colleagues: Vec<_> = colleagues.into_iter().map(|colleague| colleague.person).collect();
    let request = StartConversationRequest {
        request_id: request_id(),
        recipients: colleagues.clone(),
        chart_id: Some(PRAIRIE.chart.to_owned()),
        subject: String::new(),
        body: "Could one of you take over tonight?".to_owned(),
    };
    let id = doctor
        .start_conversation(request)
        .await
        .unwrap()
        .into_inner()
        .conversation_id;
    let mut colleague = suite.person("prairie", &colleagues[0]);
    let list = colleague
        .list_conversations(ListConversationsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (list.conversations[0].id.as_str(), list.mailbox.unwrap().unread_count),
        (id.as_str(), 1)
    );
    // The event of the guardian's message comes after theirs: when its email is there, theirs would be.
    crate::traffic::begin(&suite, PRAIRIE).await;
    suite.smtp.wait_for(|mails| !mails.is_empty(), LONG).await;
    assert!(suite.smtp.mails().iter().all(|mail| mail.to == [PRAIRIE.email]));
    assert_eq!(crate::traffic::deliveries(&suite, "prairie").await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_eligibility_is_down_a_known_send_is_answered_and_a_new_one_is_not() {
    let suite = Suite::start("down").await;
    suite.import(&DirectoryFile::prairie()).await;
    let conversation = crate::traffic::begin(&suite, PRAIRIE).await;
    let mut staff = suite.person("prairie", PRAIRIE.staff);
    let known = ReplyRequest {
        request_id: request_id(),
        conversation_id: conversation.clone(),
        body: "See you on Monday.".to_owned(),
    };
    let first = staff.reply(known.clone()).await.unwrap().into_inner();
    suite.kill(Service::Eligibility);
    assert_eq!(staff.reply(known.clone()).await.unwrap().into_inner(), first);
    let new = ReplyRequest {
        request_id: request_id(),
        ..known
    };
    let refused = staff.reply(new.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unavailable);
    let delay = refused
        .get_error_details()
        .retry_info()
        .and_then(|info| info.retry_delay);
    assert!(delay.is_some());
    let mut guardian = suite.person("prairie", PRAIRIE.portal_user);
    let request = ListMessagesRequest {
        conversation_id: conversation,
        ..Default::default()
    };
    let messages = guardian.list_messages(request).await.unwrap().into_inner().messages;
    assert_eq!(messages.len(), 2, "nothing was written, and reading goes on");
    suite.start_service(Service::Eligibility).await;
    staff.reply(new).await.unwrap();
}

async fn staff_writes(suite: &Suite, pair: Pair) -> String {
    // The EMR relays the session of its user.
    let mut staff = suite.person_by_emr(pair.organization, pair.staff);
    let request = ListRecipientsRequest {
        kind: ConversationKind::Portal.into(),
        chart_id: Some(pair.chart.to_owned()),
        ..Default::default()
    };
    let recipients = staff.list_recipients(request).await.unwrap().into_inner().recipients;
    assert!(
        recipients.iter().any(|recipient| recipient.person == pair.portal_user),
        "{recipients:?}"
    );
    let request = StartConversationRequest {
        request_id: request_id(),
        recipients: vec![pair.portal_user.to_owned()],
        chart_id: Some(pair.chart.to_owned()),
        subject: "Biopsy result".to_owned(),
        body: "The biopsy was benign. Please keep the wound dry.".to_owned(),
    };
    staff
        .start_conversation(request)
        .await
        .unwrap()
        .into_inner()
        .conversation_id
}

async fn an_email_without_health_information_arrives(suite: &Suite, pair: Pair, brand: &str) {
    let mails = suite
        .smtp
        .wait_for(|mails| mails.iter().any(|mail| mail.to == [pair.email]), LONG)
        .await;
    let mail = mails.into_iter().find(|mail| mail.to == [pair.email]).unwrap();
    let text = decoded(&mail.data);
    assert!(
        text.contains(brand) && text.contains("/messages"),
        "brand and link are there"
    );
    assert!(mail.header("From").unwrap().contains("no-reply@carepost.example.org"));
    assert_eq!(mail.header("Auto-Submitted").unwrap(), "auto-generated");
    // The delivery's id, in the Message-ID and between the parts, holds digits of any kind.
    let id = mail
        .message_id
        .unwrap()
        .trim_start_matches('<')
        .split('@')
        .next()
        .unwrap()
        .to_owned();
    let text = text
        .replace(&id, "")
        .replace(&id.replace('-', ""), "")
        .replace(pair.email, "")
        .to_lowercase();
    for private in [
        "biopsy",
        "wound",
        "feil",
        "burrows",
        "streich",
        "ballantyne",
        pair.chart,
    ] {
        assert!(!text.contains(&private.to_lowercase()), "the email says {private}");
    }
}

async fn the_guardian_answers(suite: &Suite, pair: Pair, conversation: &str) {
    let mut guardian = suite.person(pair.organization, pair.portal_user);
    let list = guardian
        .list_conversations(ListConversationsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(list.conversations[0].id, conversation);
    assert_eq!(
        (list.conversations[0].unread_count, list.mailbox.unwrap().unread_count),
        (1, 1)
    );
    reply(suite, pair, conversation, pair.portal_user, "Thank you, what a relief.").await;
}

async fn the_badge_goes_up_and_down(suite: &Suite, pair: Pair, conversation: &str) {
    let mut staff = suite.person(pair.organization, pair.staff);
    let badge = staff
        .get_unread_count(GetUnreadCountRequest {})
        .await
        .unwrap()
        .into_inner()
        .mailbox
        .unwrap();
    assert_eq!(badge.unread_count, 1);
    let request = MarkReadRequest {
        request_id: request_id(),
        conversation_id: conversation.to_owned(),
        last_seen_sequence: 2,
    };
    let read = staff.mark_read(request).await.unwrap().into_inner().mailbox.unwrap();
    assert_eq!(read.unread_count, 0);
    assert!(read.revision > badge.revision);
}

/// The text of a mail with its transfer encodings undone, so that nothing hides in them.
pub fn decoded(data: &str) -> String {
    let unfolded = data.replace("=\r\n", "");
    let mut text = String::new();
    let mut rest = unfolded.as_str();
    while let Some((before, after)) = rest.split_once('=') {
        text.push_str(before);
        match after.get(..2).and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if byte.is_ascii() => {
                text.push(char::from(byte));
                rest = &after[2..];
            }
            _ => {
                text.push('=');
                rest = after;
            }
        }
    }
    text + rest
}
