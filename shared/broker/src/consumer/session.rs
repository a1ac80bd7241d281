//! One connection of a consumer, from its first message to whatever ends it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::StreamExt;
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
};
use tokio::{
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{
    ConsumerSettings, Received, Verdict, Work,
    attempt::{Outcome, attempt},
};
use crate::{
    link::{BrokerError, Link},
    settings::BrokerSettings,
};

/// How long ending the subscription may take; the connection is closed next in any case.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

type Handlers = JoinSet<Result<(), BrokerError>>;

/// Consumes until `stop`, or until the connection breaks.
pub(super) async fn run<H, F>(
    broker: &BrokerSettings,
    settings: &ConsumerSettings,
    work: &Arc<Work<H>>,
    stop: &CancellationToken,
) -> Result<(), BrokerError>
where
    H: Fn(Received) -> F + Send + Sync + 'static,
    F: Future<Output = Verdict> + Send + 'static,
{
    let link = tokio::select! {
        link = Link::open(broker) => link?,
        () = stop.cancelled() => return Ok(()),
    };
    let ended = CancellationToken::new();
    let mut handlers = JoinSet::new();
    let start = |handlers: &mut Handlers, delivery| {
        handlers.spawn(handle(work.clone(), delivery, settings.queue.clone(), ended.clone()));
    };
    let subscribing = timeout(broker.connect_timeout, subscribe(&link.channel, settings));
    let result = match subscribing.await.unwrap_or(Err(BrokerError::Timeout)) {
        Ok(subscription) => consume(&link.channel, subscription, settings, &mut handlers, start, stop).await,
        Err(error) => Err(error),
    };
    ended.cancel();
    let finishing = async { while handlers.join_next().await.map(finished).is_some() {} };
    let _ = timeout(settings.drain, finishing).await;
    handlers.shutdown().await;
    // What is not acknowledged goes back with this.
    link.close().await;
    result
}

async fn subscribe(channel: &Channel, settings: &ConsumerSettings) -> Result<lapin::Consumer, BrokerError> {
    let queue = ShortString::try_new(settings.queue.as_str()).map_err(|_| BrokerError::QueueName)?;
    // 0 would be no limit at all.
    channel
        .basic_qos(settings.prefetch.max(1), BasicQosOptions::default())
        .await?;
    let (tag, options) = (ShortString::default(), BasicConsumeOptions::default());
    Ok(channel
        .basic_consume(queue, tag, options, FieldTable::default())
        .await?)
}

async fn consume(
    channel: &Channel,
    mut subscription: lapin::Consumer,
    settings: &ConsumerSettings,
    handlers: &mut Handlers,
    start: impl Fn(&mut Handlers, Delivery),
    stop: &CancellationToken,
) -> Result<(), BrokerError> {
    // Taken from the subscription even when no handler is free, so that its end is seen at once. The prefetch bounds it.
    let mut waiting = VecDeque::new();
    loop {
        while handlers.len() < settings.concurrency.max(1)
            && let Some(delivery) = waiting.pop_front()
        {
            start(handlers, delivery);
        }
        tokio::select! {
            () = stop.cancelled() => {
                let cancel = channel.basic_cancel(subscription.tag(), BasicCancelOptions::default());
                let _ = timeout(CANCEL_TIMEOUT, cancel).await;
                return Ok(());
            }
            Some(result) = handlers.join_next() => finished(result)?,
            delivery = subscription.next() => waiting.push_back(delivery.ok_or(BrokerError::Unsubscribed)??),
        }
    }
}

/// Handles one message to its end.
async fn handle<H, F>(
    work: Arc<Work<H>>,
    mut delivery: Delivery,
    queue: String,
    ended: CancellationToken,
) -> Result<(), BrokerError>
where
    H: Fn(Received) -> F,
    F: Future<Output = Verdict>,
{
    let received = Received::take(&mut delivery);
    let span = tracing::info_span!(
        "consume",
        otel.kind = "consumer",
        queue,
        message_id = received.message_id
    );
    received.trace.set_parent_of(&span);
    async {
        if !verdict(&work, &delivery, &received, &ended).await {
            return Ok(());
        }
        // False if the connection has gone meanwhile: then the message comes again.
        let acknowledged = delivery.acker.ack(BasicAckOptions::default()).await?;
        if acknowledged {
            Ok(())
        } else {
            Err(BrokerError::Unsubscribed)
        }
    }
    .instrument(span)
    .await
}

/// Whether the message is to be acknowledged: it is kept, or it is a dead letter.
async fn verdict<H, F>(work: &Work<H>, delivery: &Delivery, received: &Received, ended: &CancellationToken) -> bool
where
    H: Fn(Received) -> F,
    F: Future<Output = Verdict>,
{
    loop {
        let (reason, pass) = match attempt(received, &work.handler, &work.gate, ended).await {
            Outcome::Done => return true,
            Outcome::Abandoned => return false,
            Outcome::Malformed(reason, pass) => (reason, pass),
        };
        let message_id = received.message_id.as_deref();
        match work.dead_letters.publish(delivery, &received.body, &reason).await {
            Ok(()) => {
                pass.works();
                tracing::error!(message_id, reason, "a malformed message was put among the dead letters");
                return true;
            }
            Err(error) => {
                let failures = pass.fails();
                tracing::warn!(message_id, %error, failures, "a dead letter cannot be published: the consumer pauses");
            }
        }
    }
}

/// A panic of a handler goes on as one of the consumer.
fn finished(result: Result<Result<(), BrokerError>, JoinError>) -> Result<(), BrokerError> {
    match result {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Ok(()),
    }
}
