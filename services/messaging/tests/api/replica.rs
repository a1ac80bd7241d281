//! One process of the service.

use std::net::SocketAddr;

use carepost_messaging::{app, settings::Settings};
use carepost_runtime::lifecycle::Lifecycle;
use tonic::transport::Channel;

/// One process of the service. It stops when dropped.
pub struct Replica {
    pub address: SocketAddr,
    pub channel: Channel,
    pub life: Lifecycle,
}

impl Replica {
    pub async fn start(settings: Settings) -> Self {
        let life = Lifecycle::default();
        let address = app::start(settings, life.clone()).await.unwrap();
        let channel = Channel::from_shared(format!("http://{address}")).unwrap();
        Self {
            address,
            channel: channel.connect_lazy(),
            life,
        }
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.life.stop();
    }
}

/// The URL with another address in it.
pub fn through(address: Option<SocketAddr>, url: String) -> String {
    let Some(address) = address else { return url };
    let mut url = url::Url::parse(&url).unwrap();
    url.set_ip_host(address.ip()).unwrap();
    url.set_port(Some(address.port())).unwrap();
    url.to_string()
}
