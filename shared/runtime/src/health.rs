//! `grpc.health.v1.Health`: a service is ready while its own database answers. Other dependencies do not count, so that an
//! outage of theirs does not take every replica out.

use std::time::Duration;

use sea_orm::DatabaseConnection;
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::database;

/// How often the database is asked.
const INTERVAL: Duration = Duration::from_secs(2);

/// Keeps the health of the process and of the named gRPC services true, until the process stops; then they are not serving.
pub async fn follow_database(
    reporter: HealthReporter,
    services: &'static [&'static str],
    database: DatabaseConnection,
    stopping: CancellationToken,
) {
    while !stopping.is_cancelled() {
        let status = if database::answers(&database).await {
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
