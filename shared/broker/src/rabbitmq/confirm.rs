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
    /// Unlike that of any other message under way on the channel.
    pub message_id: String,
    pub properties: BasicProperties,
    pub body: &'a [u8],
}

impl Outgoing<'_> {
    async fn publish(&self, channel: &Channel) -> lapin::Result<Confirmation> {
        let options = BasicPublishOptions {
            mandatory: true,
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
        if returned.0.contains(&message.message_id) {
            *outcome = Err(PublishError::Unroutable);
        }
    }
    outcomes
}

/// The ids of messages that came back. When the broker confirms several at once, lapin hands a returned message to any one
/// of them: only its id tells which message it is.
#[derive(Default)]
struct Returned(HashSet<String>);

impl Returned {
    fn note(&mut self, confirmation: lapin::Result<Confirmation>) -> Result<(), PublishError> {
        let confirmation = confirmation.map_err(|error| PublishError::Connection(error.into()))?;
        let outcome = match &confirmation {
            Confirmation::Ack(_) => Ok(()),
            Confirmation::Nack(_) => Err(PublishError::Refused),
            Confirmation::NotRequested => Err(PublishError::Unconfirmed),
        };
        if let Some(message) = confirmation.take_message() {
            let id = message.properties.message_id().as_ref();
            self.0.extend(id.map(|id| id.as_str().to_owned()));
        }
        outcome
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

    #[tokio::test]
    async fn of_a_batch_exactly_what_has_no_queue_is_unroutable() {
        let servers = Servers::ensure().await;
        let connection = Connection::connect(&servers.amqp_url(), ConnectionProperties::default())
            .await
            .unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
        let (name, options) = (servers.unique_prefix("mixed"), QueueDeclareOptions::exclusive());
        channel
            .queue_declare(name.as_str().into(), options, FieldTable::default())
            .await
            .unwrap();
        let message = |index: usize| Outgoing {
            exchange: "".into(),
            routing_key: if index % 7 == 3 {
                "nowhere".into()
            } else {
                name.as_str().into()
            },
            message_id: index.to_string(),
            properties: BasicProperties::default().with_message_id(index.to_string().into()),
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
}
