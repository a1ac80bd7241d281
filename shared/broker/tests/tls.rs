//! RabbitMQ over TLS: whom a client believes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, time::Duration};

use carepost_broker::{BrokerError, publisher::Publisher, settings::BrokerSettings, topology::Topology};
use carepost_testkit::{Authority, Servers, servers::Parts};

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_is_believed_by_its_authority_and_name_alone() {
    let servers = Servers::private_parts("amqps", Parts::RabbitMq).await;
    let foreign = tempfile::NamedTempFile::new().unwrap();
    fs::write(foreign.path(), Authority::generate().ca_pem()).unwrap();
    let broken = tempfile::NamedTempFile::new().unwrap();
    let trusted = servers.ca_file();
    let ready = async |url: String, ca_file: Option<&std::path::Path>| {
        let topology = Topology::new(&servers.unique_prefix("tls"), 100).unwrap();
        let settings = BrokerSettings::new(&url.parse().unwrap(), "test", topology)
            .unwrap()
            .with_timeouts(Duration::from_secs(20), Duration::from_secs(20))
            .with_authorities(ca_file.map(Into::into));
        Publisher::new(settings).ready().await
    };
    let url = servers.amqps_url();
    ready(url.clone(), Some(&trusted)).await.unwrap();
    for refused in [
        ready(url.clone(), None).await,
        ready(url.clone(), Some(foreign.path())).await,
        ready(url.replace("@localhost", "@127.0.0.2"), Some(&trusted)).await,
    ] {
        assert!(matches!(refused, Err(BrokerError::Amqp(_))), "{refused:?}");
    }
    let unread = ready(url, Some(broken.path())).await;
    assert!(matches!(unread, Err(BrokerError::Authorities(_))), "{unread:?}");
}
