//! Every metric that there is. Dashboards, alerts and docs/observability.md name no other: a test sees to it.

/// What a metric is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, from 0 at the start of the process. Its series end in `_total`.
    Counter,
    /// It goes up and down.
    Gauge,
    /// How many took how long. Its series end in `_bucket`, `_sum` and `_count`.
    Histogram,
}

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Which version runs.
    BuildInfo,
    /// Since when the process runs.
    ProcessStart,
    /// Calls that a server answered.
    RpcServed,
    /// Calls of other services.
    RpcCalled,
    /// Calls that were refused since there were too many.
    RpcShed,
    /// When the keys of an issuer were read last.
    IssuerKeysRead,
    /// The age of the oldest event in the outbox.
    OutboxOldest,
    /// How many events are in the outbox.
    OutboxEvents,
    /// Events that the relay has tried to publish.
    OutboxPublished,
    /// Messages in a queue of the broker.
    QueueMessages,
    /// Messages that a consumer has dealt with.
    Consumed,
    /// Deliveries by their state.
    Deliveries,
    /// For how long the delivery that is due longest has waited.
    DeliveriesOverdue,
    /// Deliveries that came to an end.
    DeliveriesEnded,
    /// Attempts at deliveries.
    DeliveryAttempts,
    /// Connections to the database.
    PoolConnections,
    /// The most connections to the database.
    PoolLimit,
    /// Watches of mailboxes that are open.
    WatchesOpen,
    /// Searches that were given up.
    SearchTimeouts,
    /// Conversations in which a portal user waits for an answer.
    Unanswered,
    /// The age of the oldest audit record without a seal.
    AuditUnsealed,
    /// Refused calls that the audit trail does not have.
    AuditLost,
    /// When a certificate of the server ends.
    CertificateEnds,
    /// Whether something that a service needs answers.
    DependencyUp,
    /// When the gauges that are read from the database were read last.
    GaugesRead,
}

/// What there is to say of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// Its name, without the ending that its kind gives it.
    pub name: &'static str,
    /// What it is.
    pub kind: Kind,
    /// What it is counted in.
    pub unit: &'static str,
    /// What it tells, as scrapers show it.
    pub help: &'static str,
    /// The names of its labels, in order.
    pub labels: &'static [&'static str],
}

const fn describe(
    (kind, name): (Kind, &'static str),
    unit: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Description {
    Description {
        name,
        kind,
        unit,
        help,
        labels,
    }
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::BuildInfo,
        Self::ProcessStart,
        Self::RpcServed,
        Self::RpcCalled,
        Self::RpcShed,
        Self::IssuerKeysRead,
        Self::OutboxOldest,
        Self::OutboxEvents,
        Self::OutboxPublished,
        Self::QueueMessages,
        Self::Consumed,
        Self::Deliveries,
        Self::DeliveriesOverdue,
        Self::DeliveriesEnded,
        Self::DeliveryAttempts,
        Self::PoolConnections,
        Self::PoolLimit,
        Self::WatchesOpen,
        Self::SearchTimeouts,
        Self::Unanswered,
        Self::AuditUnsealed,
        Self::AuditLost,
        Self::CertificateEnds,
        Self::DependencyUp,
        Self::GaugesRead,
    ];

    /// What there is to say of it.
    #[must_use]
    pub const fn description(self) -> Description {
        match self {
            Self::BuildInfo
            | Self::ProcessStart
            | Self::RpcServed
            | Self::RpcCalled
            | Self::RpcShed
            | Self::IssuerKeysRead
            | Self::PoolConnections
            | Self::PoolLimit
            | Self::AuditUnsealed
            | Self::AuditLost
            | Self::CertificateEnds
            | Self::DependencyUp
            | Self::GaugesRead => self.of_every_service(),
            _ => self.of_messages(),
        }
    }

    const fn of_every_service(self) -> Description {
        use Kind::{Counter, Gauge, Histogram};
        match self {
            Self::BuildInfo => {
                let labels = &["component", "version"];
                describe(
                    (Gauge, "carepost_build_info"),
                    "1",
                    labels,
                    "Which version runs; always 1",
                )
            }
            Self::ProcessStart => {
                let help = "When the process started, in seconds since 1970";
                describe((Gauge, "process_start_time_seconds"), "seconds", &[], help)
            }
            Self::RpcServed => {
                let help = "Calls that were answered, by code; of a stream, until its answer began";
                let labels = &["service", "method", "code"];
                describe((Histogram, "carepost_rpc_served_seconds"), "seconds", labels, help)
            }
            Self::RpcCalled => {
                let help = "Calls of another service, tries included, by how they ended";
                let labels = &["peer", "outcome"];
                describe((Histogram, "carepost_rpc_called_seconds"), "seconds", labels, help)
            }
            Self::RpcShed => {
                let help = "Calls that were refused since there were too many, by whose too many they were";
                describe((Counter, "carepost_rpc_shed"), "calls", &["reason"], help)
            }
            Self::IssuerKeysRead => {
                let help =
                    "When the keys of an issuer of tokens were last read, or the process began, in seconds since 1970";
                let name = "carepost_issuer_keys_read_seconds";
                describe((Gauge, name), "seconds", &["issuer"], help)
            }
            Self::PoolConnections => {
                let help = "Connections to the database that are open";
                let labels = &["component", "use"];
                describe((Gauge, "carepost_pool_connections"), "connections", labels, help)
            }
            Self::PoolLimit => {
                let help = "The most connections to the database";
                describe((Gauge, "carepost_pool_limit"), "connections", &["component"], help)
            }
            Self::AuditUnsealed => {
                let help = "Age of the oldest audit record that has no seal; 0 if none has";
                let name = "carepost_audit_unsealed_seconds";
                describe((Gauge, name), "seconds", &["component"], help)
            }
            Self::AuditLost => {
                let help = "Refused calls that could not be recorded in the audit trail";
                describe((Counter, "carepost_audit_refusals_lost"), "calls", &[], help)
            }
            Self::CertificateEnds => {
                let help = "When a certificate of the server ends, in seconds since 1970";
                let name = "carepost_certificate_ends_seconds";
                describe((Gauge, name), "seconds", &["certificate"], help)
            }
            Self::DependencyUp => {
                let help = "Whether something that the service needs answered when it was last asked";
                let labels = &["component", "dependency"];
                describe((Gauge, "carepost_dependency_up"), "1 or 0", labels, help)
            }
            _ => {
                let help = "When the gauges from the database were last read, in seconds since 1970";
                describe((Gauge, "carepost_gauges_read_seconds"), "seconds", &["component"], help)
            }
        }
    }

    const fn of_messages(self) -> Description {
        use Kind::{Counter, Gauge};
        match self {
            Self::OutboxOldest => {
                let help = "Age of the oldest event that waits to be published; 0 if none does";
                describe(
                    (Gauge, "carepost_outbox_oldest_seconds"),
                    "seconds",
                    &["component"],
                    help,
                )
            }
            Self::OutboxEvents => {
                let help = "Events that wait to be published";
                describe((Gauge, "carepost_outbox_events"), "events", &["component"], help)
            }
            Self::OutboxPublished => {
                let help = "Events that were tried to be published";
                describe((Counter, "carepost_outbox_published"), "events", &["outcome"], help)
            }
            Self::QueueMessages => {
                let help = "Messages that wait in a queue of the broker";
                describe((Gauge, "carepost_queue_messages"), "messages", &["queue"], help)
            }
            Self::Consumed => {
                let help = "Messages that a consumer tried, by how that ended";
                describe((Counter, "carepost_consumed"), "tries", &["queue", "outcome"], help)
            }
            Self::Deliveries => {
                let help = "Deliveries that are to be tried, by state";
                describe((Gauge, "carepost_deliveries"), "deliveries", &["state"], help)
            }
            Self::DeliveriesOverdue => {
                let help = "For how long the delivery that is due longest has waited for its attempt; 0 if none has";
                let name = "carepost_deliveries_overdue_seconds";
                describe((Gauge, name), "seconds", &[], help)
            }
            Self::DeliveriesEnded => {
                let help = "Deliveries that came to an end, by state";
                describe((Counter, "carepost_deliveries_ended"), "deliveries", &["state"], help)
            }
            Self::DeliveryAttempts => {
                let help = "Attempts at deliveries, by outcome: each unknown one may be a second email";
                describe((Counter, "carepost_delivery_attempts"), "attempts", &["outcome"], help)
            }
            Self::WatchesOpen => {
                let help = "Watches of mailboxes that are open";
                describe((Gauge, "carepost_watches_open"), "watches", &[], help)
            }
            Self::SearchTimeouts => {
                let help = "Searches that were given up since they took too long";
                describe((Counter, "carepost_search_timeouts"), "searches", &[], help)
            }
            _ => {
                let help = "Portal conversations that wait for an answer by staff, by how long they have waited";
                describe(
                    (Gauge, "carepost_unanswered_conversations"),
                    "conversations",
                    &["age"],
                    help,
                )
            }
        }
    }

    /// The name under which a query finds it; a histogram's without `_bucket`, `_sum` or `_count`.
    #[must_use]
    pub fn series(self) -> String {
        let Description { name, kind, .. } = self.description();
        match kind {
            Kind::Counter => format!("{name}_total"),
            Kind::Gauge | Kind::Histogram => name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_metric_has_a_name_of_its_own() {
        let names: BTreeSet<_> = Metric::ALL.iter().map(|metric| metric.description().name).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        let metrics: BTreeSet<_> = Metric::ALL.into_iter().collect();
        assert_eq!(metrics.len(), Metric::ALL.len());
        assert_eq!(
            Metric::ALL.len(),
            Metric::GaugesRead as usize + 1,
            "ALL has every metric"
        );
    }
}
