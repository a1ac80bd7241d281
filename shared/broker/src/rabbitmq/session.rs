//! One connection of a consumer, from its first message to whatever ends it.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::StreamExt;
use lapin::{
    Channel,
    message::Delivery,
    options::{BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::{FieldTable, ShortString},
    uri::AMQPUri,
};
use tokio::{
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{burial::Burial, letter::ROUTING_KEY, link::Link, properties::header};
use crate::{
    consumer::{
        ConsumerSettings, Death, Received, Verdict, Work,
        settle::{self, Settled},
    },
    error::BrokerError,
    settings::BrokerSettings,
    trace::{TRACEPARENT, TRACESTATE, TraceHeaders},
};

/// How long ending the subscription may take; the connection is closed next in any case.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

type Handlers = JoinSet<Result<(), BrokerError>>;

/// Consumes until `stop`, or until the connection breaks.
pub(crate) async fn run<H, F>(
    (uri, broker): (&AMQPUri, &BrokerSettings),
    settings: &ConsumerSettings,
    (work, burial): (&Arc<Work<H>>, &Arc<Burial>),
    stop: &CancellationToken,
) -> Result<(), BrokerError>
where
    H: Fn(Received) -> F + Send + Sync + 'static,
    F: Future<Output = Verdict> + Send + 'static,
{
    let link = tokio::select! {
        link = Link::open(uri, broker) => link?,
        () = stop.cancelled() => return Ok(()),
    };
    let ended = CancellationToken::new();
    let mut handlers = JoinSet::new();
    let start = |handlers: &mut Handlers, delivery| {
        let (work, burial) = (work.clone(), burial.clone());
        handlers.spawn(handle(work, burial, delivery, settings.queue.clone(), ended.clone()));
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
    burial: Arc<Burial>,
    mut delivery: Delivery,
    queue: String,
    ended: CancellationToken,
) -> Result<(), BrokerError>
where
    H: Fn(Received) -> F,
    F: Future<Output = Verdict>,
{
    let received = received(&mut delivery);
    let span = settle::span(&received, &queue);
    async {
        let bury = async |reason: String| {
            let death = Death::new(&reason, &queue, work.clock.now());
            burial.publish(&delivery, &received.body, &death).await
        };
        if settle::settle(&work, &received, bury, &ended).await == Settled::Abandoned {
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

/// Takes the body out of the delivery.
fn received(delivery: &mut Delivery) -> Received {
    let body = std::mem::take(&mut delivery.data);
    let properties = &delivery.properties;
    Received {
        body,
        message_id: properties.message_id().as_ref().map(|id| id.as_str().to_owned()),
        message_type: properties.kind().as_ref().map(|kind| kind.as_str().to_owned()),
        // A dead letter that was sent back has it in a header: AMQP's own names the queue then.
        routing_key: header(properties, ROUTING_KEY).unwrap_or_else(|| delivery.routing_key.to_string()),
        trace: TraceHeaders::new(header(properties, TRACEPARENT), header(properties, TRACESTATE)),
        redelivered: delivery.redelivered,
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
