//! What the process counts, for a Prometheus to fetch.
//!
//! Every metric is named in [`Metric`], and every label is a type of a few words: see [`labels`]. There is one set of them
//! in a process, as there is one log. Where several services run in one process, as `carepost run` does, the label
//! `component` tells them apart.

pub mod labels;

mod endpoint;
mod gauges;
mod names;

use std::{sync::OnceLock, time::Duration};

use chrono::{DateTime, Utc};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{self, Registry},
};

pub use endpoint::{MetricsSettings, serve};
pub use gauges::{INTERVAL, follow};
pub use names::{Description, Kind, Metric};

use crate::Clock;
use labels::{
    Age, Attempt, Called, Certificate, Code, Component, Consumed, Delivery, Dependency, Ended, OfAge, OfAttempt,
    OfBuild, OfCalled, OfCertificate, OfComponent, OfConsumed, OfDelivery, OfDependency, OfEnded, OfIssuer, OfPool,
    OfPublished, OfQueue, OfServed, OfShed, Published, Queue, Rpc, Shed, Use,
};

/// From a quick read to what a caller may wait for: seconds.
const BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;
type Fractions<L> = Family<L, Gauge<f64, std::sync::atomic::AtomicU64>>;

/// All metrics of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    build: Family<OfBuild, Gauge>,
    served: Histograms<OfServed>,
    called: Histograms<OfCalled>,
    shed: Family<OfShed, Counter>,
    issuer_keys_read: Family<OfIssuer, Gauge>,
    outbox_oldest: Fractions<OfComponent>,
    outbox_events: Family<OfComponent, Gauge>,
    published: Family<OfPublished, Counter>,
    queue_messages: Family<OfQueue, Gauge>,
    consumed: Family<OfConsumed, Counter>,
    deliveries: Family<OfDelivery, Gauge>,
    overdue: Gauge<f64, std::sync::atomic::AtomicU64>,
    ended: Family<OfEnded, Counter>,
    attempts: Family<OfAttempt, Counter>,
    pool: Family<OfPool, Gauge>,
    pool_limit: Family<OfComponent, Gauge>,
    watches: Gauge,
    search_timeouts: Counter,
    unanswered: Family<OfAge, Gauge>,
    audit_unsealed: Fractions<OfComponent>,
    audit_lost: Counter,
    certificate_ends: Family<OfCertificate, Gauge>,
    up: Family<OfDependency, Gauge>,
    read: Family<OfComponent, Gauge>,
}

/// The metrics of this process.
pub fn metrics() -> &'static Metrics {
    static METRICS: OnceLock<Metrics> = OnceLock::new();
    METRICS.get_or_init(Metrics::new)
}

fn histogram() -> Histogram {
    Histogram::new(BUCKETS)
}

fn register<M: registry::Metric + Clone>(registry: &mut Registry, metric: Metric, kept: M) -> M {
    let described = metric.description();
    registry.register(described.name, described.help, kept.clone());
    kept
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Metrics {
    fn new() -> Self {
        let mut registry = Registry::default();
        let all = &mut registry;
        let start: Gauge = register(all, Metric::ProcessStart, Gauge::default());
        start.set(Clock::system().now().timestamp());
        let metrics = Self {
            build: register(all, Metric::BuildInfo, Family::default()),
            served: register(
                all,
                Metric::RpcServed,
                Family::new_with_constructor(histogram as fn() -> _),
            ),
            called: register(
                all,
                Metric::RpcCalled,
                Family::new_with_constructor(histogram as fn() -> _),
            ),
            shed: register(all, Metric::RpcShed, Family::default()),
            issuer_keys_read: register(all, Metric::IssuerKeysRead, Family::default()),
            outbox_oldest: register(all, Metric::OutboxOldest, Family::default()),
            outbox_events: register(all, Metric::OutboxEvents, Family::default()),
            published: register(all, Metric::OutboxPublished, Family::default()),
            queue_messages: register(all, Metric::QueueMessages, Family::default()),
            consumed: register(all, Metric::Consumed, Family::default()),
            deliveries: register(all, Metric::Deliveries, Family::default()),
            overdue: register(all, Metric::DeliveriesOverdue, Gauge::default()),
            ended: register(all, Metric::DeliveriesEnded, Family::default()),
            attempts: register(all, Metric::DeliveryAttempts, Family::default()),
            pool: register(all, Metric::PoolConnections, Family::default()),
            pool_limit: register(all, Metric::PoolLimit, Family::default()),
            watches: register(all, Metric::WatchesOpen, Gauge::default()),
            search_timeouts: register(all, Metric::SearchTimeouts, Counter::default()),
            unanswered: register(all, Metric::Unanswered, Family::default()),
            audit_unsealed: register(all, Metric::AuditUnsealed, Family::default()),
            audit_lost: register(all, Metric::AuditLost, Counter::default()),
            certificate_ends: register(all, Metric::CertificateEnds, Family::default()),
            up: register(all, Metric::DependencyUp, Family::default()),
            read: register(all, Metric::GaugesRead, Family::default()),
            registry,
        };
        metrics.begin_at_zero();
        metrics
    }

    /// A counter that begins with its first event hides that event: a rate needs two values. So the few that alerts are about
    /// are there from the start.
    fn begin_at_zero(&self) {
        for reason in Shed::ALL.iter().copied() {
            drop(self.shed.get_or_create(&OfShed { reason }));
        }
        for outcome in Published::ALL.iter().copied() {
            drop(self.published.get_or_create(&OfPublished { outcome }));
        }
        for outcome in Attempt::ALL.iter().copied() {
            drop(self.attempts.get_or_create(&OfAttempt { outcome }));
        }
        for state in Ended::ALL.iter().copied() {
            drop(self.ended.get_or_create(&OfEnded { state }));
        }
        for queue in [Queue::MessageSent, Queue::DirectoryChanged] {
            for outcome in Consumed::ALL.iter().copied() {
                drop(self.consumed.get_or_create(&OfConsumed { queue, outcome }));
            }
        }
    }

    /// Notes that a service runs in this process.
    pub fn runs(&self, component: Component) {
        let version = env!("CARGO_PKG_VERSION");
        self.build.get_or_create(&OfBuild { component, version }).set(1);
    }

    /// Notes a call that was answered.
    pub fn served(&self, rpc: Rpc, code: Code, took: Duration) {
        let labels = OfServed::new(rpc, code);
        self.served.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Notes a call of another service.
    pub fn called(&self, peer: &'static str, outcome: Called, took: Duration) {
        let labels = OfCalled { peer, outcome };
        self.called.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Notes a call that was refused since there were too many.
    pub fn shed(&self, reason: Shed) {
        self.shed.get_or_create(&OfShed { reason }).inc();
    }

    /// Notes that the keys of an issuer were read just now, or are to be: the first, the second … of the settings. Its name is no
    /// word of ours.
    pub fn issuer_keys_read(&self, issuer: usize) {
        let issuer = u32::try_from(issuer).unwrap_or(u32::MAX);
        let now = Clock::system().now().timestamp();
        self.issuer_keys_read.get_or_create(&OfIssuer { issuer }).set(now);
    }

    /// Notes what waits in an outbox: how many events, and for how long the oldest has.
    pub fn outbox(&self, component: Component, events: u64, oldest: Duration) {
        let labels = OfComponent { component };
        self.outbox_events.get_or_create(&labels).set(whole(events));
        self.outbox_oldest.get_or_create(&labels).set(oldest.as_secs_f64());
    }

    /// Notes events that were tried to be published.
    pub fn published(&self, outcome: Published, events: usize) {
        let labels = OfPublished { outcome };
        self.published.get_or_create(&labels).inc_by(events as u64);
    }

    /// Notes how many messages wait in a queue.
    pub fn queue(&self, queue: Queue, messages: u64) {
        self.queue_messages
            .get_or_create(&OfQueue { queue })
            .set(whole(messages));
    }

    /// Notes a try to handle a message of a queue, by its name on the broker.
    pub fn consumed(&self, queue: &str, outcome: Consumed) {
        if let Some(queue) = Queue::named(queue) {
            self.consumed.get_or_create(&OfConsumed { queue, outcome }).inc();
        }
    }

    /// Notes how many deliveries are in a state.
    pub fn deliveries(&self, state: Delivery, deliveries: u64) {
        self.deliveries
            .get_or_create(&OfDelivery { state })
            .set(whole(deliveries));
    }

    /// Notes for how long the delivery that is due longest has waited.
    pub fn deliveries_overdue(&self, longest: Duration) {
        self.overdue.set(longest.as_secs_f64());
    }

    /// Notes that a delivery came to an end.
    pub fn delivery_ended(&self, state: Ended) {
        self.ended.get_or_create(&OfEnded { state }).inc();
    }

    /// Notes an attempt at a delivery.
    pub fn attempted(&self, outcome: Attempt) {
        self.attempts.get_or_create(&OfAttempt { outcome }).inc();
    }

    /// Notes the connections to a service's database: those that somebody has, those that wait, and the most.
    pub fn pool(&self, component: Component, busy: u32, idle: u32, most: u32) {
        for (r#use, connections) in [(Use::Busy, busy), (Use::Idle, idle)] {
            let labels = OfPool { component, r#use };
            self.pool.get_or_create(&labels).set(connections.into());
        }
        self.pool_limit
            .get_or_create(&OfComponent { component })
            .set(most.into());
    }

    /// Notes that a watch was opened.
    pub fn watch_opened(&self) {
        self.watches.inc();
    }

    /// Notes that a watch has ended.
    pub fn watch_ended(&self) {
        self.watches.dec();
    }

    /// Notes a search that was given up.
    pub fn search_timed_out(&self) {
        self.search_timeouts.inc();
    }

    /// Notes how many conversations wait for an answer, of an age.
    pub fn unanswered(&self, age: Age, conversations: u64) {
        self.unanswered.get_or_create(&OfAge { age }).set(whole(conversations));
    }

    /// Notes how old the oldest audit record of a service is that has no seal.
    pub fn audit_unsealed(&self, component: Component, oldest: Duration) {
        let labels = OfComponent { component };
        self.audit_unsealed.get_or_create(&labels).set(oldest.as_secs_f64());
    }

    /// Notes refused calls that could not be recorded.
    pub fn audit_lost(&self, calls: u32) {
        self.audit_lost.inc_by(calls.into());
    }

    /// Notes when a certificate ends.
    pub fn certificate_ends(&self, certificate: Certificate, end: DateTime<Utc>) {
        self.certificate_ends
            .get_or_create(&OfCertificate { certificate })
            .set(end.timestamp());
    }

    /// Notes whether something that a service needs answers.
    pub fn dependency(&self, component: Component, dependency: Dependency, up: bool) {
        let labels = OfDependency { component, dependency };
        self.up.get_or_create(&labels).set(up.into());
    }

    /// Notes that the gauges of a service were read just now.
    fn gauges_read(&self, component: Component) {
        let now = Clock::system().now().timestamp();
        self.read.get_or_create(&OfComponent { component }).set(now);
    }

    /// All of them, as a scraper reads them: OpenMetrics text.
    ///
    /// # Errors
    /// If a metric cannot be written, which is a fault of this program.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_alerts_are_about_begins_at_zero() {
        let text = Metrics::new().text().unwrap();
        for series in [
            "carepost_delivery_attempts_total{outcome=\"unknown\"} 0",
            "carepost_consumed_total{queue=\"message-sent\",outcome=\"dead_lettered\"} 0",
        ] {
            assert!(text.contains(series), "{series}: {text}");
        }
    }

    #[test]
    fn every_metric_is_written_under_its_name_with_its_labels() {
        let metrics = Metrics::new();
        let component = Component::Messaging;
        metrics.runs(component);
        metrics.served(Rpc::of("/s/m"), Code::Ok, Duration::from_millis(3));
        metrics.called("eligibility", Called::Answered, Duration::from_millis(3));
        metrics.shed(Shed::Overloaded);
        metrics.issuer_keys_read(1);
        metrics.deliveries_overdue(Duration::from_secs(3));
        metrics.outbox(component, 2, Duration::from_millis(1_500));
        metrics.published(Published::Confirmed, 3);
        metrics.queue(Queue::DeadLetters, 4);
        metrics.consumed("x-carepost.notification.message-sent", Consumed::Done);
        metrics.deliveries(Delivery::Retrying, 5);
        metrics.delivery_ended(Ended::Failed);
        metrics.attempted(Attempt::Unknown);
        metrics.pool(component, 3, 4, 16);
        metrics.watch_opened();
        metrics.search_timed_out();
        metrics.unanswered(Age::ThreeToSevenDays, 6);
        metrics.audit_unsealed(component, Duration::from_secs(2));
        metrics.audit_lost(1);
        metrics.certificate_ends(Certificate::Served, DateTime::UNIX_EPOCH);
        metrics.dependency(component, Dependency::Broker, false);
        metrics.gauges_read(component);
        let text = metrics.text().unwrap();
        for metric in Metric::ALL {
            let Description { labels, kind, .. } = metric.description();
            let start = match kind {
                Kind::Histogram => metric.series() + "_count",
                Kind::Counter | Kind::Gauge => metric.series(),
            };
            let mut lines = text.lines().filter(|line| !line.starts_with('#'));
            let line = lines.find(|line| line.split(['{', ' ']).next() == Some(start.as_str()));
            let line = line.unwrap_or_else(|| panic!("{start} is not in {text}"));
            let names = line.split(['{', ',']).skip(1).filter_map(|part| part.split_once('='));
            assert_eq!(names.map(|(name, _)| name).collect::<Vec<_>>(), labels, "{line}");
        }
        assert!(
            text.contains("carepost_outbox_oldest_seconds{component=\"messaging\"} 1.5"),
            "{text}"
        );
        assert!(
            text.contains("carepost_pool_connections{component=\"messaging\",use=\"busy\"} 3"),
            "{text}"
        );
    }
}
