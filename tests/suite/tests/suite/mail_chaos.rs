//! A thousand emails while the mail server misbehaves in every way it can, and the notification service is killed at random.

use std::{
    collections::{BTreeMap, BTreeSet, hash_map::RandomState},
    hash::{BuildHasher, Hasher},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use carepost_proto::{
    messaging::v1::ReplyRequest,
    notification::v1::{
        Attempt, AttemptOutcome, Delivery, DeliveryState, GetDeliveryRequest,
        notification_service_client::NotificationServiceClient,
    },
};
use carepost_suite::{
    Suite,
    clients::CallerChannel,
    process::Service,
    wait::{LONG, until},
};
use carepost_testkit::{
    DirectoryFile,
    smtp::{Behaviour, Conduct, Stage},
};
use futures::{StreamExt, stream};
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::traffic::{PRAIRIE, Pair, begin, deliveries, request_id, rows};

type Operator = NotificationServiceClient<CallerChannel>;

const MESSAGES: usize = 1_000;
/// How many of them are to somebody whom the mail server does not know. All else happens to the others.
const TO_NOBODY: usize = 50;
/// How many are written at the same time.
const WRITERS: usize = 8;
/// How often the notification service is killed.
const KILLS: usize = 12;
/// Many times what all of it takes on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(240);

/// The patient of the same chart, to whom the same doctor may write.
const NOBODY: Pair = Pair {
    portal_user: "portal/pu-8",
    email: "rocky.streich@example.org",
    ..PRAIRIE
};

/// What the server does to an email, one after the other; between two of these it takes some.
fn misdeeds() -> [Behaviour; 8] {
    [
        Behaviour::RefuseRecipient(451, "4.7.1 greylisted, come back later".into()),
        Behaviour::DropAfterData,
        Behaviour::RefuseData(452, "4.3.1 no room".into()),
        Behaviour::Hang,
        Behaviour::RefuseRecipient(550, "5.1.1 no such user".into()),
        Behaviour::HalfAnswer,
        Behaviour::RefuseData(554, "5.7.1 looks like spam".into()),
        Behaviour::RefuseRecipient(421, "4.3.2 going down".into()),
    ]
}

/// What it does to whole connections, one after the other.
fn conducts() -> Vec<Conduct> {
    let stages = [
        Stage::Greeting,
        Stage::Hello,
        Stage::Tls,
        Stage::Sender,
        Stage::Recipient,
        Stage::Data,
        Stage::Content,
        Stage::Reset,
        Stage::Quit,
    ];
    let mut conducts = vec![Conduct::InPieces];
    for stage in stages {
        conducts.push(Conduct::Hang(stage));
        conducts.push(Conduct::Drop(stage));
        // A refusal comes instead of an answer: while the email itself comes in, none is due.
        if stage == Stage::Content {
            continue;
        }
        conducts.push(Conduct::Refuse(stage, 421, "4.3.2 too many connections".into()));
        conducts.push(Conduct::Refuse(stage, 554, "5.7.0 no service".into()));
    }
    conducts
}

/// How often the server did each.
#[derive(Default)]
struct Done {
    misdeeds: [AtomicU32; 8],
    connections: AtomicU32,
}

fn misbehave(suite: &Suite) -> Arc<Done> {
    let done = Arc::new(Done::default());
    let seen = Arc::clone(&done);
    suite.smtp.script(move |recipient, attempt| {
        if recipient == NOBODY.email {
            return Behaviour::RefuseRecipient(550, "5.1.1 nobody of that name".into());
        }
        // Every third is one of them.
        let place = attempt as usize / 3 % misdeeds().len();
        if attempt % 3 != 0 {
            return Behaviour::Accept;
        }
        seen.misdeeds[place].fetch_add(1, Ordering::SeqCst);
        misdeeds()[place].clone()
    });
    let seen = Arc::clone(&done);
    suite.smtp.script_connections(move |number| {
        seen.connections.fetch_add(1, Ordering::SeqCst);
        // Every second one is good, so that something gets through.
        let place = usize::try_from(number).unwrap() / 2 % conducts().len();
        if number % 2 == 0 {
            Conduct::Usual
        } else {
            conducts()[place].clone()
        }
    });
    done
}

/// A number below this one.
fn random(below: u64) -> u64 {
    RandomState::new().build_hasher().finish() % below
}

/// Kills the service at random points of its work.
async fn kill_again_and_again(suite: &Suite) {
    for kill in 0..KILLS {
        // Spread over the whole of it; the last one well before the end.
        let some = kill * (MESSAGES * 2 / 3 / KILLS) + usize::try_from(random(40)).unwrap();
        suite.smtp.wait_for(|mails| mails.len() > some, PATIENCE).await;
        // Not to wait for anything: so that the kill comes at any point between two emails.
        sleep(Duration::from_millis(random(300))).await;
        suite.kill(Service::Notification);
        suite.start_service(Service::Notification).await;
    }
}

/// Starts a conversation, and writes so many messages in it. All of them are accepted, since nothing that they need is killed:
/// some a moment later, because no person may write so fast.
async fn write(suite: &Suite, pair: Pair, count: usize) {
    let conversation_id = begin(suite, pair).await;
    // One connection, and one token: making them takes longer than all the rest.
    let staff = suite.person(pair.organization, pair.staff);
    let replies = (1..count).map(|_| {
        let request = ReplyRequest {
            request_id: request_id(),
            conversation_id: conversation_id.clone(),
            body: "Are you well?".to_owned(),
        };
        let mut staff = staff.clone();
        async move {
            while let Err(refused) = staff.reply(request.clone()).await {
                assert_eq!(refused.code(), Code::ResourceExhausted, "{refused:?}");
                sleep(Duration::from_millis(200)).await;
            }
        }
    });
    stream::iter(replies)
        .buffer_unordered(WRITERS)
        .map(drop)
        .collect()
        .await
}

/// Waits until every delivery was seen in a final state, which it never leaves by itself, and gives them.
async fn settled(suite: &Suite) -> Vec<Delivery> {
    loop {
        let ledger = deliveries(suite, PRAIRIE.organization).await;
        let is_final = |delivery: &Delivery| delivery.next_attempt_time.is_none();
        if ledger.len() >= MESSAGES && ledger.iter().all(is_final) {
            return ledger;
        }
        sleep(Duration::from_millis(300)).await;
    }
}

/// How far it is, for who wants to know why it is no further.
async fn progress(suite: &Suite) -> String {
    let ledger = deliveries(suite, PRAIRIE.organization).await;
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for delivery in &ledger {
        *states.entry(delivery.state().as_str_name()).or_default() += 1;
    }
    let last = ledger.iter().find(|delivery| delivery.next_attempt_time.is_some());
    let (mails, connections) = (suite.smtp.mails().len(), suite.smtp.connections());
    let outbox = rows(suite, Service::Messaging, "outbox").await;
    format!(
        "{states:?}, {mails} emails, {connections} connections, {outbox} events in the outbox, one that waits: {last:?}"
    )
}

/// A delivery with its attempts.
async fn looked_up(client: &mut Operator, delivery_id: String) -> (Delivery, Vec<Attempt>) {
    let found = client.get_delivery(GetDeliveryRequest { delivery_id }).await;
    let found = found.unwrap().into_inner();
    (found.delivery.unwrap(), found.attempts)
}

/// Holds what the server saw of an email against what the ledger says of it.
fn check(delivery: &Delivery, attempts: &[Attempt], seen: i32) {
    let count = |outcome| {
        let found = attempts.iter().filter(|attempt| attempt.outcome() == outcome).count();
        i32::try_from(found).unwrap()
    };
    let (accepted, unknown) = (count(AttemptOutcome::Accepted), count(AttemptOutcome::Unknown));
    let told = format!("{delivery:?}\n{attempts:?}\n{seen} seen");
    assert_eq!(i32::try_from(attempts.len()).unwrap(), delivery.attempt_count, "{told}");
    assert_eq!(unknown, delivery.unknown_outcome_count, "{told}");
    // The server saw one email for an attempt that was accepted, and at most one for each whose outcome is unknown.
    assert!((accepted..=accepted + unknown).contains(&seen), "{told}");
    let last = attempts.last().unwrap();
    match delivery.state() {
        DeliveryState::Sent => {
            assert_eq!((accepted, last.outcome()), (1, AttemptOutcome::Accepted), "{told}");
        }
        DeliveryState::Failed => {
            assert_eq!((accepted, last.outcome()), (0, AttemptOutcome::Refused), "{told}");
            assert!([550, 554].contains(&delivery.last_code), "{told}");
            assert!(!delivery.last_answer.is_empty(), "{told}");
        }
        _ => panic!("{told}"),
    }
}

/// As [`check`], for one whom the mail server does not know: however often it was asked, it took nothing.
fn check_refused(delivery: &Delivery, attempts: &[Attempt], seen: i32) {
    check(delivery, attempts, seen);
    let told = format!("{delivery:?}\n{attempts:?}");
    assert_eq!(delivery.state(), DeliveryState::Failed, "{told}");
    let last = delivery.last_answer.as_str();
    // A connection that is refused as a whole at the same stage says so first.
    assert!(
        ["5.1.1 nobody of that name", "5.7.0 no service"].contains(&last),
        "{told}"
    );
    assert_eq!(seen, 0, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn n3_every_message_becomes_one_email_or_a_recorded_refusal_whatever_server_and_process_do() {
    let suite = Suite::start("mailchaos").await;
    suite.import(&DirectoryFile::prairie()).await;
    let done = misbehave(&suite);
    let work = async {
        tokio::join!(
            write(&suite, PRAIRIE, MESSAGES - TO_NOBODY),
            write(&suite, NOBODY, TO_NOBODY),
            kill_again_and_again(&suite)
        );
        settled(&suite).await
    };
    let Ok(ledger) = timeout(PATIENCE, work).await else {
        panic!("not all is settled: {}", progress(&suite).await);
    };
    let about: BTreeSet<_> = ledger.iter().map(|delivery| delivery.message_id.clone()).collect();
    assert_eq!(
        (ledger.len(), about.len()),
        (MESSAGES, MESSAGES),
        "one for each message"
    );

    let mut seen: BTreeMap<String, i32> = BTreeMap::new();
    for mail in suite.smtp.mails() {
        let id = mail.message_id.unwrap();
        let delivery = id.trim_start_matches('<').split('@').next().unwrap();
        *seen.entry(delivery.to_owned()).or_default() += 1;
    }
    let (mut sent, mut unknown) = (0, 0);
    let mut operator = suite.deliveries(PRAIRIE.organization);
    for delivery in ledger {
        let (delivery, attempts) = looked_up(&mut operator, delivery.id).await;
        let seen = seen.remove(&delivery.id).unwrap_or_default();
        match delivery.recipient == NOBODY.portal_user {
            true => check_refused(&delivery, &attempts, seen),
            false => check(&delivery, &attempts, seen),
        }
        sent += usize::from(delivery.state() == DeliveryState::Sent);
        unknown += delivery.unknown_outcome_count;
    }
    assert!(seen.is_empty(), "emails that no delivery knows of");
    // It was chaos: everything happened, and often.
    assert!(
        sent > MESSAGES / 2 && sent < MESSAGES && unknown > 0,
        "{sent} {unknown}"
    );
    for (misdeed, count) in misdeeds().iter().zip(&done.misdeeds) {
        assert!(count.load(Ordering::SeqCst) > 0, "{misdeed:?}");
    }
    let connections = done.connections.load(Ordering::SeqCst) as usize;
    assert!(connections > 2 * conducts().len(), "{connections}");
    let drained = until(LONG, async || rows(&suite, Service::Messaging, "outbox").await == 0);
    assert!(drained.await, "events are left in the outbox");
}

/// The check itself: an email too many is found, and an attempt too few.
#[test]
fn a_second_email_outside_counted_attempts_is_found() {
    let ended = |number, outcome: AttemptOutcome| Attempt {
        number,
        outcome: outcome.into(),
        ..Attempt::default()
    };
    let sent = |unknown_outcome_count| Delivery {
        state: DeliveryState::Sent.into(),
        attempt_count: 2,
        unknown_outcome_count,
        ..Delivery::default()
    };
    let counted = [ended(1, AttemptOutcome::Unknown), ended(2, AttemptOutcome::Accepted)];
    let certain = [ended(1, AttemptOutcome::Postponed), ended(2, AttemptOutcome::Accepted)];
    check(&sent(1), &counted, 1);
    check(&sent(1), &counted, 2);
    check(&sent(0), &certain, 1);
    for (delivery, attempts, seen) in [
        (sent(1), &counted[..], 3),
        (sent(1), &counted[..], 0),
        (sent(0), &counted[..], 1),
        (sent(0), &certain[..], 2),
        (sent(0), &certain[1..], 1),
    ] {
        let found = std::panic::catch_unwind(|| check(&delivery, attempts, seen));
        assert!(found.is_err(), "{delivery:?} {seen}");
    }
}
