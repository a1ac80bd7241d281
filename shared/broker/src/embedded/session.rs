//! A consumer at work on a queue, until it is stopped or the file fails.

use std::{collections::VecDeque, path::Path, sync::Arc, time::Duration};

use tokio::{
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

use super::{file::BrokerFile, subscription::Subscription, table::Claimed};
use crate::{
    consumer::{
        ConsumerSettings, Death, Received, Verdict, Work,
        settle::{self, Settled},
    },
    error::BrokerError,
    publisher::PublishError,
    settings::BrokerSettings,
    topology::Topology,
};

/// How often to look without being told of a change.
const POLL: Duration = Duration::from_secs(1);

type Handlers = JoinSet<(i64, Settled)>;

/// Consumes until `stop`, or until the file fails.
pub(crate) async fn run<H, F>(
    (path, broker): (&Path, &BrokerSettings),
    settings: &ConsumerSettings,
    work: &Arc<Work<H>>,
    stop: &CancellationToken,
) -> Result<(), BrokerError>
where
    H: Fn(Received) -> F + Send + Sync + 'static,
    F: Future<Output = Verdict> + Send + 'static,
{
    let file = tokio::select! {
        file = BrokerFile::open(path, broker.connect_timeout, broker.confirm_timeout) => file?,
        () = stop.cancelled() => return Ok(()),
    };
    let mut subscription = Subscription::new(file.clone(), &settings.queue);
    let ended = CancellationToken::new();
    let place = Arc::new(Place {
        file,
        topology: broker.topology.clone(),
        queue: settings.queue.clone(),
    });
    let mut handlers = JoinSet::new();
    let start = |handlers: &mut Handlers, message| {
        handlers.spawn(handle(work.clone(), place.clone(), message, ended.clone()));
    };
    let result = consume(&mut subscription, settings, &mut handlers, start, stop).await;
    ended.cancel();
    let finishing = async {
        while let Some(first) = handlers.join_next().await {
            if let Err(error) = finish(&mut subscription, &mut handlers, first).await {
                tracing::warn!(%error, queue = settings.queue, "handled messages could not be acknowledged");
            }
        }
    };
    let _ = timeout(settings.drain, finishing).await;
    handlers.shutdown().await;
    result
}

async fn consume(
    subscription: &mut Subscription,
    settings: &ConsumerSettings,
    handlers: &mut Handlers,
    start: impl Fn(&mut Handlers, Claimed),
    stop: &CancellationToken,
) -> Result<(), BrokerError> {
    let prefetch = usize::from(settings.prefetch.max(1));
    let mut waiting = VecDeque::new();
    let mut may_be_more = true;
    loop {
        let room = prefetch.saturating_sub(subscription.len());
        if may_be_more && waiting.is_empty() && room > 0 {
            let taken = tokio::select! {
                taken = subscription.take(room) => taken?,
                () = stop.cancelled() => return Ok(()),
            };
            may_be_more = taken.len() == room;
            waiting.extend(taken);
        }
        while handlers.len() < settings.concurrency.max(1)
            && let Some(message) = waiting.pop_front()
        {
            start(handlers, message);
        }
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            Some(first) = handlers.join_next() => finish(subscription, handlers, first).await?,
            () = subscription.changed(), if !may_be_more => may_be_more = true,
            () = sleep(POLL), if !may_be_more => may_be_more = true,
        }
    }
}

/// Acknowledges what is kept, as much as there is at once.
async fn finish(
    subscription: &mut Subscription,
    handlers: &mut Handlers,
    first: Result<(i64, Settled), JoinError>,
) -> Result<(), BrokerError> {
    let mut kept = Vec::new();
    let mut next = Some(first);
    while let Some(result) = next {
        match result {
            Ok((sequence, Settled::Kept)) => kept.push(sequence),
            Ok((sequence, Settled::Buried)) => subscription.release(&[sequence]),
            Ok((_, Settled::Abandoned)) => {}
            // A panic of a handler goes on as one of the consumer.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
        next = handlers.try_join_next();
    }
    subscription.acknowledge(&kept).await
}

/// Where messages come from, and where dead letters go.
struct Place {
    file: Arc<BrokerFile>,
    topology: Topology,
    queue: String,
}

impl Place {
    async fn bury(&self, sequence: i64, death: Death) -> Result<(), PublishError> {
        self.file.bury(sequence, &death, &self.topology).await
    }
}

/// Handles one message to its end.
async fn handle<H, F>(
    work: Arc<Work<H>>,
    place: Arc<Place>,
    Claimed { sequence, received }: Claimed,
    ended: CancellationToken,
) -> (i64, Settled)
where
    H: Fn(Received) -> F,
    F: Future<Output = Verdict>,
{
    let span = settle::span(&received, &place.queue);
    let bury = |reason: String| place.bury(sequence, Death::new(&reason, &place.queue, work.clock.now()));
    let settled = settle::settle(&work, &received, bury, &ended).instrument(span).await;
    (sequence, settled)
}
