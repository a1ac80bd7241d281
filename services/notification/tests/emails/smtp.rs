//! SMTP as it is in the world: a server that is tired, slow, silent or gone, at every step of the dialogue.

use carepost_proto::notification::v1::{AttemptOutcome, DeliveryState};
use carepost_testkit::smtp::{Behaviour, Conduct, Security, Stage};
use chrono::TimeDelta;
use uuid::Uuid;

use crate::{
    parts::Column,
    stub::active,
    support::{PATIENCE, World},
};

const STAGES: [Stage; 5] = [
    Stage::Greeting,
    Stage::Hello,
    Stage::Sender,
    Stage::Recipient,
    Stage::Data,
];

async fn world(hint: &str) -> World {
    let world = World::new(Column::Embedded, hint, Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    world
}

/// How the first attempt ended over a connection with this conduct; the second one is over a good connection, or, after a
/// refusal, a good second try.
async fn first_attempt(world: &World, conduct: Conduct) -> (AttemptOutcome, i32) {
    world.smtp.script_connections(move |connection| match connection {
        1 => conduct.clone(),
        _ => Conduct::Usual,
    });
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let done = service
        .wait_for(sent.delivery, "settled", |delivery| {
            delivery.next_attempt_time.is_none()
        })
        .await;
    let attempts = service.attempts(sent.delivery).await;
    let mails = world.smtp.mails();
    let accepted = attempts[0].outcome() != AttemptOutcome::Refused;
    assert_eq!(done.state() == DeliveryState::Sent, accepted, "{done:?}");
    // It was known each time that nothing had been sent.
    assert_eq!((done.unknown_outcome_count, mails.len()), (0, usize::from(accepted)));
    service.stop().await;
    (attempts[0].outcome(), attempts[0].code)
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_server_that_hangs_before_the_email_has_not_got_it() {
    for stage in STAGES {
        let world = world("hang").await;
        let ended = first_attempt(&world, Conduct::Hang(stage)).await;
        assert_eq!(ended, (AttemptOutcome::Postponed, 0), "{stage:?}");
        world.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_server_that_goes_away_before_the_email_has_not_got_it() {
    for stage in STAGES {
        let world = world("gone").await;
        let ended = first_attempt(&world, Conduct::Drop(stage)).await;
        assert_eq!(ended, (AttemptOutcome::Postponed, 0), "{stage:?}");
        world.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_refusal_is_final_only_where_it_is_about_the_recipient_or_the_email() {
    let final_stages = [Stage::Recipient, Stage::Data];
    for stage in STAGES {
        for code in [421, 450, 554] {
            let world = world("refusal").await;
            let conduct = Conduct::Refuse(stage, code, "x.7.1 not now".to_owned());
            let refused = code == 554 && final_stages.contains(&stage);
            let outcome = if refused {
                AttemptOutcome::Refused
            } else {
                AttemptOutcome::Postponed
            };
            let ended = first_attempt(&world, conduct).await;
            assert_eq!(ended, (outcome, i32::from(code)), "{stage:?} {code}");
            world.clear().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_in_pieces_is_understood() {
    let world = world("pieces").await;
    world.smtp.script_connections(|_| Conduct::InPieces);
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!(
        (done.attempt_count, done.last_code, done.last_answer.as_str()),
        (1, 250, "2.0.0 taken")
    );
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_half_of_a_good_answer_is_none() {
    let world = world("half").await;
    world.smtp.script(|_, attempt| match attempt {
        1 => Behaviour::HalfAnswer,
        _ => Behaviour::Accept,
    });
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (2, 1));
    let mails = world.smtp.mails();
    assert_eq!((mails.len(), &mails[0].message_id), (2, &mails[1].message_id));
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_once_the_email_is_on_its_way_a_server_that_fails_leaves_the_outcome_unknown() {
    for conduct in [Conduct::Hang(Stage::Content), Conduct::Drop(Stage::Content)] {
        let world = world("content").await;
        world.smtp.script_connections(move |connection| match connection {
            1 => conduct.clone(),
            _ => Conduct::Usual,
        });
        let service = world.serve_by_smtp().await;
        let sent = world.publish(&["portal/one"]).await;
        let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
        assert_eq!((done.attempt_count, done.unknown_outcome_count), (2, 1));
        // It had not got it. The client cannot know that.
        assert_eq!(world.smtp.mails().len(), 1);
        service.stop().await;
        world.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_a_kept_connection_that_has_gone_bad_is_replaced_within_the_attempt() {
    let bad = [
        Conduct::Hang(Stage::Reset),
        Conduct::Drop(Stage::Reset),
        Conduct::Refuse(Stage::Reset, 421, "4.4.2 idle for too long".to_owned()),
    ];
    for conduct in bad {
        let world = world("kept").await;
        world.smtp.script_connections(move |connection| match connection {
            1 => conduct.clone(),
            _ => Conduct::Usual,
        });
        let service = world.serve_by_smtp().await;
        for connections in [1, 2] {
            let sent = world.publish(&["portal/one"]).await;
            let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
            assert_eq!((done.attempt_count, done.unknown_outcome_count), (1, 0));
            assert_eq!(world.smtp.connections(), connections);
        }
        assert_eq!(world.smtp.mails().len(), 2);
        service.stop().await;
        world.clear().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_at_the_goodbye_keeps_nobody_from_stopping() {
    let world = world("goodbye").await;
    world.smtp.script_connections(|_| Conduct::Hang(Stage::Quit));
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one"]).await;
    service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_who_is_greylisted_gets_the_email_later_and_the_others_at_once() {
    let world = world("greylist").await;
    world.eligibility.put("southern", "two", active("two@home.example"));
    world.smtp.script(|address, attempt| match (address, attempt) {
        ("one@home.example", 1 | 2) => Behaviour::RefuseRecipient(450, "4.2.0 greylisted for a second".into()),
        _ => Behaviour::Accept,
    });
    let service = world.serve_by_smtp().await;
    let sent = world.publish(&["portal/one", "portal/two"]).await;
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.attempt_count, done.unknown_outcome_count), (3, 0));
    let attempts = service.attempts(sent.delivery).await;
    for attempt in &attempts[..2] {
        assert_eq!((attempt.outcome(), attempt.code), (AttemptOutcome::Postponed, 450));
    }
    let other = Uuid::new_v5(&sent.event.id, b"portal/two");
    assert_eq!(service.delivery(other).await.unwrap().attempt_count, 1);
    let to: Vec<_> = world.smtp.mails().into_iter().flat_map(|mail| mail.to).collect();
    assert_eq!(to, ["two@home.example", "one@home.example"]);
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipient_who_is_refused_does_not_keep_the_others_from_their_emails() {
    let world = world("one_refused").await;
    world.eligibility.put("southern", "two", active("two@home.example"));
    world.eligibility.put("southern", "three", active("three@home.example"));
    world.smtp.script(|address, _| match address {
        "two@home.example" => Behaviour::RefuseRecipient(550, "5.1.1 no such user".into()),
        _ => Behaviour::Accept,
    });
    let service = world.serve_by_smtp().await;
    let recipients = ["portal/one", "portal/two", "portal/three"];
    let sent = world.publish(&recipients).await;
    for recipient in recipients {
        let id = Uuid::new_v5(&sent.event.id, recipient.as_bytes());
        let state = if recipient == "portal/two" {
            DeliveryState::Failed
        } else {
            DeliveryState::Sent
        };
        let settled = service.wait_for_state(id, state).await;
        assert_eq!((settled.attempt_count, settled.unknown_outcome_count), (1, 0));
    }
    assert_eq!(world.smtp.mails().len(), 2);
    service.stop().await;
    world.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_emails_go_out_in_a_second_than_the_server_wants() {
    const RATE: i64 = 5;
    let world = world("rate").await;
    let settings = format!("most_per_second = {RATE}\n{}", world.mail_url("smtp"));
    let service = world.serve_with(&settings).await;
    let recipients: Vec<_> = (0..20).map(|number| format!("portal/{number}")).collect();
    for number in 0..20 {
        let address = format!("u{number}@home.example");
        world.eligibility.put("southern", &number.to_string(), active(&address));
    }
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    world.publish(&recipients).await;
    let mails = world.smtp.wait_for(|mails| mails.len() == 20, PATIENCE).await;
    // Five at once, and the rest one after the other. What the way to the server takes may shift each a little.
    let span = mails[19].accepted_at - mails[0].accepted_at;
    assert!(
        span >= TimeDelta::seconds(15 / RATE) - TimeDelta::milliseconds(500),
        "{span}"
    );
    service.stop().await;
    world.clear().await;
}
