//! The story that everything is for: a message to a guardian, the email, the answer, the badge. On real parts, through
//! three processes.

use carepost_proto::messaging::v1::{
    ConversationKind, GetUnreadCountRequest, ListConversationsRequest, ListRecipientsRequest, MarkReadRequest,
    StartConversationRequest,
};
use carepost_suite::{Suite, wait::LONG};
use carepost_testkit::DirectoryFile;

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
    for private in [
        "biopsy",
        "wound",
        "feil",
        "burrows",
        "streich",
        "ballantyne",
        "1021",
        "au-0008",
        pair.chart,
    ] {
        let text = text.to_lowercase().replace(pair.email, "");
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
