//! `grpc.health.v1.Health`: a service is ready while its own database answers. Other dependencies do not count, so that an
//! outage of theirs does not take every replica out.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tonic_health::{
    ServingStatus,
    pb::health_server::{Health, HealthServer},
    server::HealthReporter,
};

use crate::{database::Probe, lifecycle::Lifecycle, server::NAME_BYTES};

/// How often the database is asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Whether a process should be sent calls: it has started, and the database of each service in it answers. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Readiness {
    started: Arc<AtomicBool>,
    databases: Arc<Mutex<BTreeMap<&'static str, bool>>>,
}

impl Readiness {
    /// Notes that all that the process does has begun.
    pub(crate) fn started(&self) {
        self.started.store(true, Ordering::Release);
    }

    /// Notes whether the database of a service answers.
    pub(crate) fn database(&self, service: &'static str, answers: bool) {
        let mut databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        databases.insert(service, answers);
    }

    pub(crate) fn is_ready(&self) -> bool {
        let databases = self.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = !databases.is_empty() && databases.values().all(|answers| *answers);
        answer && self.started.load(Ordering::Acquire)
    }
}

/// The service, and who tells it.
#[must_use]
pub fn service() -> (HealthReporter, HealthServer<impl Health>) {
    let (reporter, health) = tonic_health::server::health_reporter();
    (reporter, health.max_decoding_message_size(NAME_BYTES))
}

/// Keeps the health of the process and of the named gRPC services true, until the process stops; then they are not serving.
pub async fn follow_database(
    reporter: HealthReporter,
    services: &'static [&'static str],
    database: Probe,
    life: Lifecycle,
) {
    let stopping = life.stopping();
    while !stopping.is_cancelled() {
        let answers = database.answers().await;
        life.readiness()
            .database(services.first().copied().unwrap_or_default(), answers);
        let status = if answers {
            ServingStatus::Serving
        } else {
            ServingStatus::NotServing
        };
        report(&reporter, services, status).await;
        let _ = tokio::time::timeout(INTERVAL, stopping.cancelled()).await;
    }
    report(&reporter, services, ServingStatus::NotServing).await;
}

async fn report(reporter: &HealthReporter, services: &[&'static str], status: ServingStatus) {
    for service in services.iter().copied().chain([""]) {
        reporter.set_service_status(service, status).await;
    }
}
