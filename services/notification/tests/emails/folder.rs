//! Emails that go into a folder.

use std::{collections::BTreeSet, fs, path::Path};

use carepost_proto::notification::v1::DeliveryState;
use carepost_runtime::Clock;
use carepost_testkit::smtp::{Mail, Security};
use uuid::Uuid;

use crate::{parts::Column, stub::active, support::World};

/// The emails in a folder, which holds nothing else.
pub fn mails(folder: &Path) -> Vec<Mail> {
    let files = fs::read_dir(folder).unwrap();
    files.map(|file| read(&file.unwrap().path())).collect()
}

fn read(path: &Path) -> Mail {
    let mut mail = Mail {
        from: String::new(),
        to: Vec::new(),
        data: fs::read_to_string(path).unwrap(),
        message_id: None,
        accepted_at: Clock::system().now(),
        acknowledged: true,
    };
    let from = mail.header("From").unwrap();
    let address = from.rsplit('<').next().unwrap();
    address.trim_end_matches('>').clone_into(&mut mail.from);
    mail.to.extend(mail.header("To"));
    mail.message_id = mail.header("Message-ID");
    let name = path.file_name().unwrap().to_str().unwrap();
    let delivery = name.strip_suffix(".eml").unwrap();
    assert!(mail.message_id.as_ref().unwrap().starts_with(&format!("<{delivery}@")));
    mail
}

#[tokio::test]
async fn while_the_folder_cannot_be_written_it_is_known_that_nothing_was_sent() {
    let world = World::new(Column::Embedded, "folder", Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    let service = world.serve().await;
    let folder = world.file("mail");
    fs::remove_dir(&folder).unwrap();
    fs::write(&folder, "no folder").unwrap();
    let sent = world.publish(&["portal/one"]).await;
    let waiting = service.wait_for_state(sent.delivery, DeliveryState::Retrying).await;
    assert_eq!((waiting.last_code, waiting.unknown_outcome_count), (0, 0));
    let told = waiting.last_answer;
    assert!(told.starts_with("the folder for emails cannot be written: "), "{told}");
    assert!(!told.contains('/'), "{told}");
    fs::remove_file(&folder).unwrap();
    let done = service.wait_for_state(sent.delivery, DeliveryState::Sent).await;
    assert_eq!((done.unknown_outcome_count, world.mails().len()), (0, 1));
    assert_eq!(done.last_answer, format!("written as {}.eml", sent.delivery));
    service.stop().await;
    world.clear().await;
}

#[tokio::test]
async fn many_emails_become_a_file_each() {
    let world = World::new(Column::Embedded, "many", Security::Plain).await;
    let recipients: Vec<_> = (0..40).map(|number| format!("portal/{number}")).collect();
    for number in 0..40 {
        let address = format!("u{number}@home.example");
        world.eligibility.put("southern", &number.to_string(), active(&address));
    }
    let service = world.serve().await;
    let recipients: Vec<_> = recipients.iter().map(String::as_str).collect();
    let sent = world.publish(&recipients).await;
    for recipient in &recipients {
        let id = Uuid::new_v5(&sent.event.id, recipient.as_bytes());
        let done = service.wait_for_state(id, DeliveryState::Sent).await;
        assert_eq!((done.attempt_count, done.unknown_outcome_count), (1, 0));
    }
    let mails = world.mails();
    let addresses: BTreeSet<_> = mails.iter().flat_map(|mail| &mail.to).collect();
    assert_eq!((mails.len(), addresses.len()), (40, 40));
    service.stop().await;
    world.clear().await;
}
