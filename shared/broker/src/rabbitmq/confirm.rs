//! Publishing with the broker's confirmation.

use std::{collections::HashSet, time::Duration};

use futures::{FutureExt, StreamExt, stream::FuturesUnordered};
use lapin::{BasicProperties, Channel, Confirmation, options::BasicPublishOptions, types::ShortString};
use tokio::time::{Instant, timeout_at};

use crate::publisher::PublishError;

/// A message to publish.
pub(super) struct Outgoing<'a> {
    pub exchange: ShortString,
    pub routing_key: ShortString,
    /// Their `message_id` is unlike that of any other message of the batch.
    pub properties: BasicProperties,
    /// Whether it is a failure if no queue takes it.
    pub mandatory: bool,
    pub body: &'a [u8],
}

impl Outgoing<'_> {
    async fn publish(&self, channel: &Channel) -> lapin::Result<Confirmation> {
        let options = BasicPublishOptions {
            mandatory: self.mandatory,
            ..BasicPublishOptions::default()
        };
        let (exchange, key) = (self.exchange.clone(), self.routing_key.clone());
        channel
            .basic_publish(exchange, key, options, self.body, self.properties.clone())
            .await?
            .await
    }
}

/// Publishes all, one behind the other, then awaits all confirmations, for `limit` in all. Nobody else may publish on the
/// channel meanwhile, and it is not to be used again after an error that [`breaks_connection`](super::publisher::breaks_connection) tells.
pub(super) async fn publish_all(
    channel: &Channel,
    batch: &[Outgoing<'_>],
    limit: Duration,
) -> Vec<Result<(), PublishError>> {
    let deadline = Instant::now() + limit;
    let mut outcomes: Vec<Result<(), PublishError>> = batch.iter().map(|_| Err(PublishError::Unconfirmed)).collect();
    let mut returned = Returned::default();
    // Each is sent when it is first polled, in this order.
    let mut pending: FuturesUnordered<_> = batch
        .iter()
        .enumerate()
        .map(|(index, message)| async move { (index, message.publish(channel).await) }.boxed())
        .collect();
    while let Ok(Some((index, confirmation))) = timeout_at(deadline, pending.next()).await {
        outcomes[index] = returned.note(confirmation);
    }
    // What arrives now is late, but may still carry a returned message.
    for (_, confirmation) in pending.into_iter().filter_map(FutureExt::now_or_never) {
        let _ = returned.note(confirmation);
    }
    for (outcome, message) in outcomes.iter_mut().zip(batch) {
        if returned.may_be(message) {
            *outcome = Err(PublishError::Unroutable);
        }
    }
    outcomes
}

/// What came back. When the broker confirms several at once, lapin hands a returned message to any one of them: only its id
/// tells which message it is.
#[derive(Default)]
struct Returned {
    ids: HashSet<String>,
    /// Whether one came back that has no id: it may be any that has none.
    nameless: bool,
}

impl Returned {
    fn note(&mut self, confirmation: lapin::Result<Confirmation>) -> Result<(), PublishError> {
        let confirmation = confirmation.map_err(|error| PublishError::Connection(error.into()))?;
        let outcome = match &confirmation {
            Confirmation::Ack(_) => Ok(()),
            Confirmation::Nack(_) => Err(PublishError::Refused),
            Confirmation::NotRequested => Err(PublishError::Unconfirmed),
        };
        if let Some(message) = confirmation.take_message() {
            match message.properties.message_id() {
                Some(id) => self.ids.extend([id.as_str().to_owned()]),
                None => self.nameless = true,
            }
        }
        outcome
    }

    fn may_be(&self, message: &Outgoing<'_>) -> bool {
        match message.properties.message_id() {
            Some(id) => self.ids.contains(id.as_str()),
            None => self.nameless,
        }
    }
}

#[cfg(test)]
mod tests {
    use carepost_testkit::Servers;
    use lapin::{
        Connection, ConnectionProperties,
        options::{ConfirmSelectOptions, QueueDeclareOptions},
        types::FieldTable,
    };

    use super::*;

    /// A channel in confirm mode, the connection that keeps it, and a queue of its own.
    async fn channel(servers: &Servers, hint: &str) -> (Connection, Channel, String) {
        let connection = Connection::connect(&servers.amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let (name, options) = (servers.unique_prefix(hint), QueueDeclareOptions::exclusive());
        channel
            .queue_declare(name.as_str().into(), options, FieldTable::default())
            .await
            .unwrap();
        (connection, channel, name)
    }

    #[tokio::test]
    async fn of_a_batch_exactly_what_has_no_queue_is_unroutable() {
        let servers = Servers::ensure().await;
        let (_connection, channel, name) = channel(&servers, "mixed").await;
        let message = |index: usize| Outgoing {
            exchange: "".into(),
            routing_key: if index % 7 == 3 {
                "nowhere".into()
            } else {
                name.as_str().into()
            },
            properties: BasicProperties::default().with_message_id(index.to_string().into()),
            mandatory: true,
            body: b"",
        };
        for first in (0..20).map(|batch| batch * 300) {
            let batch: Vec<_> = (first..first + 300).map(message).collect();
            let outcomes = publish_all(&channel, &batch, Duration::from_secs(10)).await;
            for (index, outcome) in (first..).zip(outcomes) {
                match outcome {
                    Ok(()) => assert_ne!(index % 7, 3, "{index} went nowhere"),
                    Err(error) => assert!(
                        matches!(error, PublishError::Unroutable) && index % 7 == 3,
                        "{index}: {error}"
                    ),
                }
            }
        }
    }

    #[tokio::test]
    async fn a_message_without_an_id_that_has_no_queue_is_unroutable() {
        let servers = Servers::ensure().await;
        let (_connection, channel, name) = channel(&servers, "nameless").await;
        let message = |queue: &str, mandatory| Outgoing {
            exchange: "".into(),
            routing_key: queue.into(),
            properties: BasicProperties::default(),
            mandatory,
            body: b"",
        };
        let outcome = async |message| publish_all(&channel, &[message], Duration::from_secs(10)).await.pop();
        for _ in 0..3 {
            assert!(matches!(outcome(message(&name, true)).await, Some(Ok(()))));
            let nowhere = outcome(message("nowhere", true)).await;
            assert!(matches!(nowhere, Some(Err(PublishError::Unroutable))), "{nowhere:?}");
            assert!(matches!(outcome(message("nowhere", false)).await, Some(Ok(()))));
        }
    }
}
