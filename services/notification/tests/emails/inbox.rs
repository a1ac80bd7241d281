//! Events that are no good.

use std::sync::Mutex;

use carepost_broker::consumer::{DEAD_QUEUE, DEAD_REASON};
use carepost_proto::notification::v1::{DeliveryState, ListDeliveriesRequest};
use carepost_testkit::smtp::Security;
use lapin::{Connection, ConnectionProperties, message::Delivery, options::BasicGetOptions};

use crate::{
    stub::active,
    support::{World, eventually, message_sent},
};

/// Takes two letters. They may still be on their way: events are handled side by side.
async fn two_dead_letters(world: &World) -> Vec<Delivery> {
    let connection = Connection::connect(&world.servers.amqp_url(), ConnectionProperties::default())
        .await
        .unwrap();
    let channel = connection.create_channel().await.unwrap();
    let letters = Mutex::new(Vec::new());
    eventually("two dead letters", || async {
        let options = BasicGetOptions { no_ack: true };
        let letter = channel
            .basic_get(world.topology.dead_letters().into(), options)
            .await
            .unwrap();
        let mut letters = letters.lock().unwrap();
        letters.extend(letter.map(|letter| letter.delivery));
        letters.len() == 2
    })
    .await;
    letters.into_inner().unwrap()
}

#[tokio::test]
async fn a_malformed_event_becomes_a_dead_letter_and_the_next_one_an_email() {
    let world = World::new("malformed", Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    let service = world.serve().await;
    let mut garbage = message_sent("southern", &["portal/one"]).event;
    garbage.payload = b"\xff\xffa secret of a patient".to_vec();
    world.publish_event(&garbage).await;
    let nameless = message_sent("southern", &["a secret of a patient"]).event;
    world.publish_event(&nameless).await;
    let good = world.publish(&["portal/one"]).await;
    service.wait_for_state(good.delivery, DeliveryState::Sent).await;
    let letters = two_dead_letters(&world).await;

    let mut reasons: Vec<_> = letters.iter().map(|letter| header(letter, DEAD_REASON)).collect();
    reasons.sort();
    assert_eq!(
        reasons,
        [
            "a recipient must be of the form staff/ID or portal/ID",
            "the payload is no carepost.event.v1.MessageSent"
        ]
    );
    let mut ids: Vec<_> = letters
        .iter()
        .map(|letter| letter.properties.message_id().clone().unwrap().to_string())
        .collect();
    ids.sort();
    let mut expected = [garbage.id.to_string(), nameless.id.to_string()];
    expected.sort();
    assert_eq!(ids, expected);
    assert_eq!(header(&letters[0], DEAD_QUEUE), world.topology.message_sent_queue());
    assert_eq!(service.list(ListDeliveriesRequest::default()).await.deliveries.len(), 1);
    service.stop().await;
    world.clear().await;
}

fn header(letter: &Delivery, name: &str) -> String {
    let headers = letter.properties.headers().as_ref().unwrap().inner();
    headers[name].as_long_string().unwrap().to_string()
}
