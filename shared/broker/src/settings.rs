//! How the broker is reached.

use std::{fmt, path::PathBuf, time::Duration};

use carepost_runtime::{settings::Reader, tls};
use lapin::uri::AMQPUri;
use url::Url;

use crate::topology::Topology;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(10);

/// Seconds after which a silent connection is given up: half as long unanswered, both sides send a heartbeat.
const HEARTBEAT: u16 = 10;

/// The URL is none of a broker. The text never repeats it: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be of the form amqp://user:password@host:port/vhost, amqps://…, or sqlite:///folder/broker.db")]
pub struct UrlError;

/// Where the broker is.
#[derive(Clone)]
pub(crate) enum Place {
    /// RabbitMQ.
    RabbitMq(Box<AMQPUri>),
    /// The embedded broker, in a file of SQLite that one process has at a time.
    File(PathBuf),
}

impl Place {
    fn of(url: &Url) -> Result<Self, UrlError> {
        if url.scheme() == "sqlite" {
            return file(url).map(Self::File).ok_or(UrlError);
        }
        let mut uri: AMQPUri = url.as_str().parse().map_err(|_| UrlError)?;
        uri.query.heartbeat.get_or_insert(HEARTBEAT);
        Ok(Self::RabbitMq(Box::new(uri)))
    }
}

fn file(url: &Url) -> Option<PathBuf> {
    let bare = url.query().is_none() && url.fragment().is_none() && !url.path().ends_with('/');
    // None for a relative one.
    let path = url.to_file_path().ok()?;
    (bare && path.file_name().is_some()).then_some(path)
}

/// How the broker is reached, and what is to be there.
#[derive(Clone)]
pub struct BrokerSettings {
    pub(crate) place: Place,
    pub(crate) ca_file: Option<PathBuf>,
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
    /// Settings with the default timeouts: 5 s to connect, 10 s to confirm a batch. The name is shown to operators of
    /// RabbitMQ.
    ///
    /// # Errors
    /// If the URL is none of a broker.
    pub fn new(url: &Url, name: &str, topology: Topology) -> Result<Self, UrlError> {
        Ok(Self::at(Place::of(url)?, name, topology).with_timeouts(CONNECT_TIMEOUT, CONFIRM_TIMEOUT))
    }

    fn at(place: Place, name: &str, topology: Topology) -> Self {
        let (connect_timeout, confirm_timeout) = (CONNECT_TIMEOUT, CONFIRM_TIMEOUT);
        Self {
            place,
            ca_file: None,
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
        if let Place::RabbitMq(uri) = &mut self.place {
            // Without it, the thread of an attempt that was given up would wait as long as the system's TCP does.
            uri.query.connection_timeout = Some(connect.as_millis().try_into().unwrap_or(u64::MAX));
        }
        self
    }

    /// The same, with authorities (a file of PEM) to trust beside those of this machine, for `amqps`.
    #[must_use]
    pub fn with_authorities(mut self, ca_file: Option<PathBuf>) -> Self {
        self.ca_file = ca_file;
        self
    }

    /// Reads the section `broker`: `url` or `url_file`, `ca_file`, `prefix`, `queue_max_length`, `connect_timeout_ms`, `confirm_timeout_ms`.
    /// The name is shown to operators of RabbitMQ.
    pub fn read(reader: &mut Reader, name: &str) -> Self {
        let url = reader.secret_url("broker.url", &["amqp", "amqps", "sqlite"]);
        let place = url.and_then(|url| Place::of(&url).map_err(|error| reader.fault("broker.url", error)).ok());
        let ca_file = reader.path("broker.ca_file");
        if let Some(Err(error)) = ca_file.as_deref().map(tls::authorities) {
            reader.fault("broker.ca_file", error);
        }
        let prefix = reader.optional_text("broker.prefix").unwrap_or_default();
        let max_length = reader.count("broker.queue_max_length", 1..=100_000_000);
        let topology = Topology::new(&prefix, max_length).unwrap_or_else(|error| {
            reader.fault("broker.prefix", error);
            Topology::default()
        });
        let connect = reader.milliseconds("broker.connect_timeout_ms", 100..=60_000);
        let confirm = reader.milliseconds("broker.confirm_timeout_ms", 100..=60_000);
        // With a fault, the settings are never used.
        let place = place.unwrap_or_else(|| Place::RabbitMq(Box::default()));
        Self::at(place, name, topology)
            .with_timeouts(connect, confirm)
            .with_authorities(ca_file)
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

    #[test]
    fn a_file_is_absolute_and_named() {
        let place = |url: &str| Place::of(&Url::parse(url).unwrap());
        let Ok(Place::File(path)) = place("sqlite:///var/lib/care%20post/broker.db") else {
            panic!("it is a file");
        };
        assert_eq!(path.to_str(), Some("/var/lib/care post/broker.db"));
        for url in [
            "sqlite:broker.db",
            "sqlite://folder/broker.db",
            "sqlite:///folder/",
            "sqlite:///",
            "sqlite://",
            "sqlite::memory:",
            "sqlite:///folder/broker.db?mode=ro",
        ] {
            assert!(place(url).is_err(), "{url}");
        }
    }
}
