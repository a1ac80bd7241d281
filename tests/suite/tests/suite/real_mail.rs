//! The story's email on a mail server that is not ours: Debian's postfix.

use carepost_proto::{
    eligibility::v1::{GetPortalUserRequest, PutPortalUserRequest},
    messaging::v1::StartConversationRequest,
    notification::v1::{Delivery, DeliveryState},
};
use carepost_suite::{
    MailServer, Plan, Suite,
    wait::{LONG, until},
};
use carepost_testkit::{DirectoryFile, Servers, postfix::PostfixServer};

use crate::{
    story::decoded,
    traffic::{PRAIRIE, Pair, begin, deliveries, request_id},
};

/// The patient of the same chart, to whom the same doctor may write.
const PATIENT: Pair = Pair {
    portal_user: "portal/pu-8",
    email: PostfixServer::REFUSED,
    ..PRAIRIE
};

/// What the email must not say: words of the message, names of doctor, patient and guardian (Lucía), the chart.
const PRIVATE: [&str; 7] = ["biopsy", "wound", "feil", "streich", "rocky", "luc", "1021"];

#[tokio::test(flavor = "multi_thread")]
async fn postfix_takes_the_guardians_email_and_the_refusal_of_another_is_final() {
    let postfix = PostfixServer::start().await;
    let mail = MailServer {
        address: postfix.address(),
        ca_pem: postfix.ca_pem().to_owned(),
    };
    let plan = Plan {
        mail: Some(mail),
        ..Plan::default()
    };
    let suite = Suite::start_on(Servers::ensure().await, "realmail", plan).await;
    suite.import(&DirectoryFile::prairie()).await;
    move_the_patient_to_a_refused_address(&suite).await;

    staff_writes_about_health(&suite).await;
    let sent = settled(&suite, PRAIRIE).await;
    assert_eq!((sent.state(), sent.last_code), (DeliveryState::Sent, 250), "{sent:?}");
    assert_eq!((sent.attempt_count, sent.unknown_outcome_count), (1, 0), "{sent:?}");

    begin(&suite, PATIENT).await;
    let refused = settled(&suite, PATIENT).await;
    assert_eq!(
        (refused.state(), refused.last_code),
        (DeliveryState::Failed, 550),
        "{refused:?}"
    );
    assert_eq!(refused.attempt_count, 1, "a refusal for good is not tried again");
    assert_eq!(
        refused.last_answer, "5.7.1 [address] Recipient address rejected: this mailbox takes no mail",
        "the server's words, without the address"
    );

    // Also what is on its way inside of postfix is there now.
    postfix.wait_until_delivered(LONG).await;
    let mails = postfix.mails_to(PRAIRIE.email);
    assert_eq!(
        (mails.len(), postfix.mails().len()),
        (1, 1),
        "one email, and nothing else"
    );
    the_email_is_this_delivery_without_health_information(&mails[0], &sent);
    assert_eq!(suite.smtp.connections(), 0, "the other mail server is not used");
}

async fn move_the_patient_to_a_refused_address(suite: &Suite) {
    let mut directory = suite.directory(PATIENT.organization);
    let request = GetPortalUserRequest {
        portal_user_id: "pu-8".to_owned(),
    };
    let answer = directory.get_portal_user(request).await.unwrap().into_inner();
    let mut portal_user = answer.record.unwrap().portal_user.unwrap();
    PATIENT.email.clone_into(&mut portal_user.email);
    let request = PutPortalUserRequest {
        portal_user: Some(portal_user),
        version: 1,
    };
    directory.put_portal_user(request).await.unwrap();
}

async fn staff_writes_about_health(suite: &Suite) {
    let request = StartConversationRequest {
        request_id: request_id(),
        recipients: vec![PRAIRIE.portal_user.to_owned()],
        chart_id: Some(PRAIRIE.chart.to_owned()),
        subject: "Biopsy result".to_owned(),
        body: "The biopsy was benign. Please keep the wound dry.".to_owned(),
    };
    let mut staff = suite.person(PRAIRIE.organization, PRAIRIE.staff);
    staff.start_conversation(request).await.unwrap();
}

/// The one delivery to a portal user, once its state is final.
async fn settled(suite: &Suite, pair: Pair) -> Delivery {
    let mut found = Vec::new();
    let is_final = until(LONG, async || {
        found = deliveries(suite, pair.organization).await;
        found.retain(|delivery| delivery.recipient == pair.portal_user);
        let last = [DeliveryState::Sent, DeliveryState::Failed, DeliveryState::Suppressed];
        found.iter().any(|delivery| last.contains(&delivery.state()))
    })
    .await;
    assert!(is_final && found.len() == 1, "{found:?}, {}", suite.logs());
    found.remove(0)
}

fn the_email_is_this_delivery_without_health_information(mail: &str, delivery: &Delivery) {
    let (headers, _) = mail.split_once("\n\n").unwrap();
    let expected = [
        format!("Message-ID: <{}@carepost.example.org>", delivery.id),
        "Auto-Submitted: auto-generated".to_owned(),
        format!("To: {}", PRAIRIE.email),
        "Return-Path: <no-reply@carepost.example.org>".to_owned(),
    ];
    for header in expected {
        assert_eq!(headers.lines().filter(|line| **line == header).count(), 1, "{header}");
    }
    assert!(headers.contains("with ESMTPS id"), "it came by TLS");
    let from = headers.lines().find(|line| line.starts_with("From: ")).unwrap();
    assert!(from.contains("Prairie Health Network") && from.ends_with("<no-reply@carepost.example.org>"));

    for encoding in ["base64", "=?"] {
        assert!(!mail.contains(encoding), "text hides in {encoding}");
    }
    let text = decoded(&mail.replace('\n', "\r\n"));
    for part in ["Prairie Health Network", "https://portal.prairie.example.org/messages"] {
        assert!(text.contains(part), "the email lacks {part}");
    }
    // Ids and what postfix has added hold digits of any kind, so they are left out.
    let ours = text.split_once("with ESMTPS id").unwrap().1.split_once(';').unwrap().1;
    let ours = ours
        .replace(&delivery.id, "")
        .replace(&delivery.id.replace('-', ""), "")
        .replace(PRAIRIE.email, "")
        .to_lowercase();
    for private in PRIVATE {
        assert!(!ours.contains(private), "the email says {private}");
    }
}
