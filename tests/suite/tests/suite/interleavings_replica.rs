//! A second process of a service beside the suite's own.

use std::{
    fs::{self, OpenOptions},
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use carepost_suite::{
    Suite, clients,
    process::{Service, binary},
    wait::{LONG, until},
};
use carepost_testkit::ports::free_port;

/// A process on the database of the suite's own. It ends when dropped.
pub struct Replica {
    child: Child,
    pub address: SocketAddr,
}

impl Drop for Replica {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Replica {
    /// Starts one with the settings of the suite's own but for its port and this change, and waits until it is ready.
    pub async fn start(suite: &Suite, service: Service, change: impl FnOnce(String) -> String) -> Self {
        let address = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let text = fs::read_to_string(suite.file(&service.settings())).unwrap();
        let text = change(redirected(&text, suite.address(service), address));
        let name = format!("second-{}", service.name());
        let settings = suite.file(&format!("{name}.toml"));
        fs::write(&settings, text).unwrap();
        let log = suite.file(&format!("{name}.log"));
        let output = OpenOptions::new().create(true).append(true).open(&log).unwrap();
        let child = Command::new(binary())
            .args([service.name(), "--config"])
            .arg(settings)
            .arg("serve")
            .stdin(Stdio::null())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .spawn()
            .unwrap();
        let replica = Self { child, address };
        let ready = until(LONG, async || clients::is_ready(address).await).await;
        assert!(ready, "{}", fs::read_to_string(log).unwrap_or_default());
        replica
    }
}

/// Settings with another address in place of one.
pub fn redirected(settings: &str, from: SocketAddr, to: SocketAddr) -> String {
    let changed = settings.replace(&from.to_string(), &to.to_string());
    assert_ne!(changed, settings, "{from} is in the settings");
    changed
}
