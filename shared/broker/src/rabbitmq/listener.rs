//! One connection of a listener, from its first hint to whatever ends it.

use carepost_runtime::{Clock, Ids};
use futures::StreamExt;
use lapin::{
    Channel,
    options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, ShortString},
    uri::AMQPUri,
};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{declare::short, link::Link};
use crate::{
    error::BrokerError,
    event::EventKind,
    listener::{Ear, Missed},
    settings::BrokerSettings,
    topology::Topology,
};

/// The most bytes that wait in the queue of a listener: it is in the broker's memory.
const MAX_BYTES: i64 = 32 << 20;

/// Listens until `stop`, or until the connection breaks.
pub(crate) async fn listen(
    (uri, broker): (&AMQPUri, &BrokerSettings),
    (length, clock): (u32, &Clock),
    ear: &Ear,
    stop: &CancellationToken,
) -> Result<(), BrokerError> {
    let link = tokio::select! {
        link = Link::open(uri, broker) => link?,
        () = stop.cancelled() => return Ok(()),
    };
    // A new name each time: after a cut, the broker may take the connection before for alive, and keep its queue.
    let queue = short(&broker.topology.listener_queue(Ids.next(clock.now())));
    let subscribing = timeout(
        broker.connect_timeout,
        subscribe(&link.channel, &broker.topology, queue, length),
    );
    let result = match subscribing.await.unwrap_or(Err(BrokerError::Timeout)) {
        Ok(subscription) => {
            ear.missed(Missed::Connected);
            hear(subscription, ear, stop).await
        }
        Err(error) => Err(error),
    };
    // The queue goes with it.
    link.close().await;
    result
}

/// Makes the queue, binds it for every kind, and begins to consume: nothing published from then on is missed.
async fn subscribe(
    channel: &Channel,
    topology: &Topology,
    queue: ShortString,
    length: u32,
) -> Result<lapin::Consumer, BrokerError> {
    make(channel, topology, queue.clone(), length).await?;
    let options = BasicConsumeOptions {
        no_ack: true,
        exclusive: true,
        ..BasicConsumeOptions::default()
    };
    let (tag, arguments) = (ShortString::default(), FieldTable::default());
    Ok(channel.basic_consume(queue, tag, options, arguments).await?)
}

async fn make(channel: &Channel, topology: &Topology, queue: ShortString, length: u32) -> lapin::Result<()> {
    let text = |text: &str| AMQPValue::LongString(text.into());
    let mut arguments = FieldTable::default();
    arguments
        .insert("x-queue-type".into(), text("classic"))
        .insert("x-max-length".into(), AMQPValue::LongLongInt(length.max(1).into()))
        .insert("x-max-length-bytes".into(), AMQPValue::LongLongInt(MAX_BYTES))
        .insert("x-overflow".into(), text("drop-head"));
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    channel.queue_declare(queue.clone(), options, arguments).await?;
    for kind in EventKind::ALL {
        let (exchange, key) = (short(topology.events()), kind.routing_key().into());
        let options = QueueBindOptions::default();
        channel
            .queue_bind(queue.clone(), exchange, key, options, FieldTable::default())
            .await?;
    }
    Ok(())
}

/// Never waits for whoever takes the hints: what lapin has received is not bounded by anything but this.
async fn hear(mut subscription: lapin::Consumer, ear: &Ear, stop: &CancellationToken) -> Result<(), BrokerError> {
    loop {
        let delivery = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            delivery = subscription.next() => delivery.ok_or(BrokerError::Unsubscribed)??,
        };
        let kind = EventKind::from_routing_key(delivery.routing_key.as_str());
        ear.hears(kind, &delivery.data);
    }
}

#[cfg(test)]
mod tests {
    use carepost_testkit::Servers;
    use lapin::options::BasicGetOptions;
    use url::Url;

    use super::*;
    use crate::{event::Event, publisher::Publisher, trace::TraceHeaders};

    fn event(id: uuid::Uuid) -> Event {
        let organization = carepost_identity::OrganizationId::parse("southern").unwrap();
        let now = chrono::DateTime::UNIX_EPOCH;
        Event::mailbox_read(id, organization, &Default::default(), TraceHeaders::default(), now)
    }

    #[tokio::test]
    async fn a_queue_that_nobody_empties_keeps_the_newest() {
        let servers = Servers::ensure().await;
        let url: Url = servers.amqp_url().parse().unwrap();
        let topology = Topology::new(&servers.unique_prefix("listener"), 1000).unwrap();
        let broker = BrokerSettings::new(&url, "listener", topology.clone()).unwrap();
        let link = Link::open(&url.as_str().parse().unwrap(), &broker).await.unwrap();
        let queue = short(&topology.listener_queue(uuid::Uuid::nil()));
        make(&link.channel, &topology, queue.clone(), 10).await.unwrap();

        let events: Vec<_> = (0..30).map(|number| event(uuid::Uuid::from_u128(number))).collect();
        let outcomes = Publisher::new(broker).publish(&events).await;
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        let mut kept = Vec::new();
        let options = BasicGetOptions { no_ack: true };
        while let Some(message) = link.channel.basic_get(queue.clone(), options).await.unwrap() {
            kept.push(message.delivery.properties.message_id().as_ref().unwrap().to_string());
        }
        let newest: Vec<_> = events[20..].iter().map(|event| event.id.to_string()).collect();
        assert_eq!(kept, newest);
    }
}
