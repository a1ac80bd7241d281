//! Events that are no good.

use carepost_broker::consumer::{DEAD_QUEUE, DEAD_REASON};
use carepost_proto::notification::v1::{DeliveryState, ListDeliveriesRequest};
use carepost_testkit::smtp::Security;
use lapin::{Connection, ConnectionProperties, message::Delivery, options::BasicGetOptions};
use sea_orm::{ConnectionTrait, Database, DbBackend, Statement};
use tokio::sync::Mutex;

use crate::{
    parts::{Column, Parts, on_both},
    stub::active,
    support::{World, eventually, message_sent},
};

/// A dead letter: the event's id, the queue that it was in, and why it died. In this order, so that letters can be sorted.
type Letter = [String; 3];

/// The dead letters, sorted, once there are two. They may still be on their way: events are handled side by side.
async fn two_dead_letters(world: &World) -> Vec<Letter> {
    let letters = Mutex::new(Vec::new());
    eventually("two dead letters", || async {
        let mut letters = letters.lock().await;
        match &world.parts {
            Parts::Real { servers, .. } => letters.extend(from_rabbitmq(&servers.amqp_url(), world).await),
            Parts::Embedded { broker_url, .. } => *letters = in_file(broker_url, world).await,
        }
        letters.len() == 2
    })
    .await;
    let mut letters = letters.into_inner();
    letters.sort();
    letters
}

/// Takes one, if there is one.
async fn from_rabbitmq(url: &str, world: &World) -> Option<Letter> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = world.topology.dead_letters().into();
    let letter = channel
        .basic_get(queue, BasicGetOptions { no_ack: true })
        .await
        .unwrap();
    connection.close(200, "bye".into()).await.unwrap();
    let letter = letter?.delivery;
    let event = letter.properties.message_id().clone().unwrap().to_string();
    Some([event, header(&letter, DEAD_QUEUE), header(&letter, DEAD_REASON)])
}

fn header(letter: &Delivery, name: &str) -> String {
    let headers = letter.properties.headers().as_ref().unwrap().inner();
    headers[name].as_long_string().unwrap().to_string()
}

/// Reads all, as an operator would: the file has no other way in while the service runs.
async fn in_file(url: &str, world: &World) -> Vec<Letter> {
    let file = Database::connect(format!("{url}?mode=ro")).await.unwrap();
    let sql = "SELECT message_id, dead_queue, dead_reason FROM message WHERE queue = $1";
    let queue = world.topology.dead_letters();
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [queue.into()]);
    let rows = file.query_all_raw(statement).await.unwrap();
    file.close().await.unwrap();
    let columns = ["message_id", "dead_queue", "dead_reason"];
    rows.iter()
        .map(|row| columns.map(|column| row.try_get("", column).unwrap()))
        .collect()
}

on_both!(a_malformed_event_becomes_a_dead_letter_and_the_next_one_an_email);
async fn a_malformed_event_becomes_a_dead_letter_and_the_next_one_an_email(column: Column) {
    let world = World::new(column, "malformed", Security::Plain).await;
    world.eligibility.put("southern", "one", active("one@home.example"));
    let service = world.serve().await;
    let mut garbage = message_sent("southern", &["portal/one"]).event;
    garbage.payload = b"\xff\xffa secret of a patient".to_vec();
    world.publish_event(&garbage).await;
    let nameless = message_sent("southern", &["a secret of a patient"]).event;
    world.publish_event(&nameless).await;
    let good = world.publish(&["portal/one"]).await;
    service.wait_for_state(good.delivery, DeliveryState::Sent).await;

    let letter = |id: String, reason: &str| [id, world.topology.message_sent_queue().to_owned(), reason.to_owned()];
    let mut expected = [
        letter(
            garbage.id.to_string(),
            "the payload is no carepost.event.v1.MessageSent",
        ),
        letter(
            nameless.id.to_string(),
            "a recipient must be of the form staff/ID or portal/ID",
        ),
    ];
    expected.sort();
    assert_eq!(two_dead_letters(&world).await, expected);
    assert_eq!(service.list(ListDeliveriesRequest::default()).await.deliveries.len(), 1);
    service.stop().await;
    world.clear().await;
}
