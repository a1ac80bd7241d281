//! The gauges that have to be read: on a clock of their own, never because somebody scrapes.

use std::time::Duration;

use sea_orm::{DatabaseConnection, DbBackend};
use tokio_util::sync::CancellationToken;

use super::{
    labels::{Component, Dependency},
    metrics,
};
use crate::database::Probe;

/// How often they are read.
pub const INTERVAL: Duration = Duration::from_secs(15);
/// How long one reading may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads the gauges of a service now and then, until the process stops. `read` reads those that only this service has, and
/// tells whether it could. What takes too long is given up; the last value stays, and its age is a gauge of its own.
pub async fn follow<F: Future<Output = bool>>(
    component: Component,
    database: DatabaseConnection,
    probe: Probe,
    read: impl Fn() -> F,
    stopping: CancellationToken,
) {
    metrics().runs(component);
    while !stopping.is_cancelled() {
        pool(component, &database);
        let up = probe.answers().await;
        metrics().dependency(component, Dependency::Database, up);
        match tokio::time::timeout(PATIENCE, read()).await {
            Ok(true) if up => metrics().gauges_read(component),
            _ => tracing::warn!(component = component.word(), "some gauges could not be read"),
        }
        let _ = tokio::time::timeout(INTERVAL, stopping.cancelled()).await;
    }
}

fn pool(component: Component, database: &DatabaseConnection) {
    let (open, idle, most) = match database.get_database_backend() {
        DbBackend::Postgres => {
            let pool = database.get_postgres_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
        DbBackend::Sqlite => {
            let pool = database.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle(), pool.options().get_max_connections())
        }
        _ => return,
    };
    let idle = u32::try_from(idle).unwrap_or(open);
    metrics().pool(component, open.saturating_sub(idle), idle, most);
}
