//! How the broker is reached.

use std::{fmt, time::Duration};

use carepost_runtime::settings::Reader;
use lapin::uri::AMQPUri;
use url::Url;

use crate::topology::Topology;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Seconds after which a silent connection is given up: half as long unanswered, both sides send a heartbeat.
const HEARTBEAT: u16 = 10;

/// The URL is none of a broker. The text never repeats it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be of the form amqp://user:password@host:port/vhost, or amqps://…")]
pub struct UrlError;

/// How the broker is reached, and what is to be there.
#[derive(Clone)]
pub struct BrokerSettings {
    pub(crate) uri: AMQPUri,
    pub(crate) name: String,
    pub(crate) topology: Topology,
    pub(crate) connect_timeout: Duration,
    pub(crate) confirm_timeout: Duration,
}

impl fmt::Debug for BrokerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may hold a password.
        f.debug_struct("BrokerSettings")
            .field("name", &self.name)
            .field("topology", &self.topology)
            .finish_non_exhaustive()
    }
}

impl BrokerSettings {
    /// Settings with the default timeouts: 5 s to connect, 10 s to confirm a batch. The name is shown to operators of the
    /// broker.
    ///
    /// # Errors
    /// If the URL is none of a broker.
    pub fn new(url: &Url, name: &str, topology: Topology) -> Result<Self, UrlError> {
        let uri = url.as_str().parse().map_err(|_| UrlError)?;
        Ok(Self::with_uri(uri, name, topology).with_timeouts(CONNECT_TIMEOUT, CONFIRM_TIMEOUT))
    }

    fn with_uri(mut uri: AMQPUri, name: &str, topology: Topology) -> Self {
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        let (connect_timeout, confirm_timeout) = (CONNECT_TIMEOUT, CONFIRM_TIMEOUT);
        Self {
            uri,
            name: name.to_owned(),
            topology,
            connect_timeout,
            confirm_timeout,
        }
    }

    /// The same with other timeouts: to connect and declare the topology, and to have a batch confirmed.
    #[must_use]
    pub fn with_timeouts(mut self, connect: Duration, confirm: Duration) -> Self {
        (self.connect_timeout, self.confirm_timeout) = (connect, confirm);
        // Without it, the thread of an attempt that was given up would wait as long as the system's TCP does.
        self.uri.query.connection_timeout = Some(connect.as_millis().try_into().unwrap_or(u64::MAX));
        self
    }

    /// Reads the section `broker`: `url`, `prefix`, `queue_max_length`, `connect_timeout_ms`, `confirm_timeout_ms`.
    /// The name is shown to operators of the broker.
    pub fn read(reader: &mut Reader, name: &str) -> Self {
        let url = reader.url("broker.url", &["amqp", "amqps"]);
        let uri = url.and_then(|url| {
            let parsed = url.as_str().parse();
            parsed.map_err(|_: String| reader.fault("broker.url", UrlError)).ok()
        });
        let prefix = reader.optional_text("broker.prefix").unwrap_or_default();
        let max_length = reader.count("broker.queue_max_length", 1..=100_000_000);
        let topology = Topology::new(&prefix, max_length).unwrap_or_else(|error| {
            reader.fault("broker.prefix", error);
            Topology::default()
        });
        let connect = reader.milliseconds("broker.connect_timeout_ms", 100..=60_000);
        let confirm = reader.milliseconds("broker.confirm_timeout_ms", 100..=60_000);
        Self::with_uri(uri.unwrap_or_default(), name, topology).with_timeouts(connect, confirm)
    }

    /// What is to be there.
    #[must_use]
    pub fn topology(&self) -> &Topology {
        &self.topology
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_output_has_no_password() {
        let url = Url::parse("amqp://carepost:hunter2@broker:5672/%2f").unwrap();
        let settings = BrokerSettings::new(&url, "test", Topology::default()).unwrap();
        assert!(!format!("{settings:?}").contains("hunter2"));
    }

    #[test]
    fn a_url_of_something_else_is_refused_without_repeating_it() {
        let url = Url::parse("https://carepost:hunter2@broker/").unwrap();
        let error = BrokerSettings::new(&url, "test", Topology::default()).unwrap_err();
        assert!(!error.to_string().contains("hunter2"));
    }
}
