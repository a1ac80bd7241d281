//! The queue of dead letters on RabbitMQ: they are taken out to be looked at, and given back.

use lapin::{
    Acker, BasicProperties,
    options::{BasicAckOptions, BasicGetOptions, BasicNackOptions, QueueDeclareOptions},
    types::FieldTable,
    uri::AMQPUri,
};
use tokio::time::{Instant, timeout_at};

use super::{
    confirm::{Outgoing, publish_all},
    declare::short,
    letter::{letter, revived},
    link::Link,
};
use crate::{
    dead_letters::{DeadLetter, MAX_BYTES, MAX_DEPTH, Page, RedriveError, Redriven, TIME},
    error::BrokerError,
    publisher::PublishError,
    settings::BrokerSettings,
};

/// A connection on which letters are held while they are looked at.
pub(crate) struct RabbitLetters<'a> {
    link: Link,
    broker: &'a BrokerSettings,
    deadline: Instant,
}

/// A letter that is held.
struct Held {
    letter: DeadLetter,
    properties: BasicProperties,
    acker: Acker,
}

impl<'a> RabbitLetters<'a> {
    pub(crate) async fn open(uri: &AMQPUri, broker: &'a BrokerSettings) -> Result<Self, BrokerError> {
        let deadline = Instant::now() + TIME;
        let link = Link::open(uri, broker).await?;
        Ok(Self { link, broker, deadline })
    }

    pub(crate) async fn list(self, skip: u32, limit: u32) -> Result<Page, BrokerError> {
        let held = self.hold_all().await;
        self.leave().await;
        let (held, hidden) = held?;
        let behind = held.len().saturating_sub(skip as usize).saturating_sub(limit as usize);
        let page = held.into_iter().skip(skip as usize).take(limit as usize);
        Ok(Page {
            letters: page.map(|held| held.letter).collect(),
            remaining: hidden.saturating_add(behind.try_into().unwrap_or(u32::MAX)),
        })
    }

    pub(crate) async fn redrive(self, id: &str) -> Result<(), RedriveError> {
        let outcome = self.find_and_send_back(id).await;
        self.leave().await;
        outcome
    }

    pub(crate) async fn redrive_oldest(self, limit: u32) -> Redriven {
        let mut redriven = Redriven::default();
        // All are held before the first goes back: it may be a dead letter again at once.
        match self.hold_all().await {
            Ok((held, _)) => {
                for held in held.into_iter().take(limit as usize) {
                    let outcome = self.send_back(held).await;
                    if !redriven.note(outcome) {
                        break;
                    }
                }
            }
            Err(error) => redriven.failure = Some(error.into()),
        }
        self.leave().await;
        redriven
    }

    async fn find_and_send_back(&self, id: &str) -> Result<(), RedriveError> {
        let (held, _) = self.hold_all().await?;
        let found = held.into_iter().find(|held| held.letter.id == id);
        self.send_back(found.ok_or(RedriveError::NotFound)?).await
    }

    /// Takes all letters, as far as calls look, and tells how many there are behind them. Sorted here: what is given back
    /// comes behind what was given back before, so that the queue has no order that lasts.
    async fn hold_all(&self) -> Result<(Vec<Held>, u32), BrokerError> {
        let (mut all, mut bytes, mut hidden) = (Vec::new(), 0, 0);
        for _ in 0..self.count().await?.min(MAX_DEPTH) {
            let Some((held, behind)) = self.take().await? else {
                break;
            };
            hidden = behind;
            bytes += held.letter.body.len();
            all.push(held);
            // As far as this goes: letters that are many, or a broker that is slow, leave time to send some back.
            if bytes >= MAX_BYTES || self.deadline.duration_since(Instant::now()) < TIME / 2 {
                break;
            }
        }
        all.sort_by(|one, other| one.letter.age().cmp(&other.letter.age()));
        Ok((all, hidden))
    }

    /// Publishes a letter to the queue that it came from, and removes it once that is confirmed.
    async fn send_back(&self, held: Held) -> Result<(), RedriveError> {
        let Held {
            letter,
            properties,
            acker,
        } = held;
        let work = |queue: &&String| self.broker.topology.is_work_queue(queue);
        let queue = letter.queue.as_ref().filter(work).ok_or(RedriveError::NoQueue)?;
        if Instant::now() >= self.deadline {
            return Err(BrokerError::Timeout.into());
        }
        // By the exchange that every queue is bound to by its name: no other queue and no listener gets it again.
        let outgoing = Outgoing {
            exchange: "".into(),
            routing_key: short(queue),
            properties: revived(&properties, &letter.routing_key),
            mandatory: true,
            body: &letter.body,
        };
        let mut outcomes = publish_all(&self.link.channel, &[outgoing], self.broker.confirm_timeout).await;
        outcomes.pop().unwrap_or(Err(PublishError::Unconfirmed))?;
        let acknowledged = acker.ack(BasicAckOptions::default()).await;
        if acknowledged.map_err(BrokerError::from)? {
            Ok(())
        } else {
            Err(BrokerError::Unsubscribed.into())
        }
    }

    /// How many letters there are that nobody holds.
    async fn count(&self) -> Result<u32, BrokerError> {
        let options = QueueDeclareOptions {
            passive: true,
            ..QueueDeclareOptions::default()
        };
        let queue = short(self.broker.topology.dead_letters());
        let declaring = self.link.channel.queue_declare(queue, options, FieldTable::default());
        Ok(self.in_time(declaring).await?.message_count())
    }

    /// Takes the next letter that nobody holds, and tells how many there are behind it.
    async fn take(&self) -> Result<Option<(Held, u32)>, BrokerError> {
        let queue = short(self.broker.topology.dead_letters());
        let getting = self.link.channel.basic_get(queue, BasicGetOptions { no_ack: false });
        let Some(got) = self.in_time(getting).await? else {
            return Ok(None);
        };
        let (behind, delivery) = (got.message_count, got.delivery);
        let held = Held {
            letter: letter(&delivery.properties, delivery.routing_key.as_str(), delivery.data),
            properties: delivery.properties,
            acker: delivery.acker,
        };
        Ok(Some((held, behind)))
    }

    async fn in_time<T>(&self, step: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
        let until = self.deadline.min(Instant::now() + self.broker.confirm_timeout);
        let done = timeout_at(until, step).await.map_err(|_| BrokerError::Timeout)?;
        Ok(done?)
    }

    /// Gives back what is held, before the connection has gone: whoever looks next finds it.
    async fn leave(self) {
        let all = BasicNackOptions {
            multiple: true,
            requeue: true,
        };
        // If it fails, the broker gives them back when the connection has gone.
        let _ = self.in_time(self.link.channel.basic_nack(0, all)).await;
        self.link.close().await;
    }
}
