//! How many messages wait in the queues of the broker's file.

use std::path::Path;

use sea_orm::ConnectionTrait;
use tokio::time::timeout;

use super::{file::BrokerFile, lock, table::statement};
use crate::{error::BrokerError, settings::BrokerSettings};

const COUNT: &str = "SELECT count(*) AS messages FROM message WHERE queue = $1";

/// The depth of every queue, in the order of the topology.
pub(crate) async fn depths(path: &Path, broker: &BrokerSettings) -> Result<Vec<u64>, BrokerError> {
    let path = lock::canonical(path)?;
    // Its publishers and consumers open it; here it is only looked into.
    let file = BrokerFile::shared(&path).await.ok_or(BrokerError::Timeout)?;
    let mut depths = Vec::new();
    for queue in broker.topology.queues() {
        let asking = file.db.query_one_raw(statement(COUNT, [queue.name.as_str().into()]));
        let row = timeout(broker.confirm_timeout, asking).await;
        let row = row.map_err(|_| BrokerError::Timeout)??;
        let count: i64 = row.map_or(Ok(0), |row| row.try_get("", "messages"))?;
        depths.push(count.try_into().unwrap_or_default());
    }
    Ok(depths)
}
