//! The gRPC server: its bounds, and what every service has beside its own RPCs.

use std::{io, net::SocketAddr, time::Duration};

mod router;
mod streams;
mod traffic;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use router::{Router, Server};
pub use traffic::Guest;
pub(crate) use traffic::Traffic;

use self::traffic::Bounds;
use crate::{
    incoming::Incoming,
    settings::Reader,
    tls::{ServerTls, TlsSettings},
};

/// The largest request of health and of reflection: each is a name.
pub(crate) const NAME_BYTES: usize = 1_024;

/// How long what tells of calls outlasts the last of them.
const LINGER: Duration = Duration::from_secs(2);
/// How long it may take to write the last of it.
pub const LAST_WORDS: Duration = Duration::from_secs(5);

/// Settings of the server.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The most calls under way at once.
    pub max_concurrent_calls: usize,
    /// The most calls that wait to be under way; more are refused at the door.
    pub max_waiting_calls: usize,
    /// How long a call may wait for that.
    pub max_wait: Duration,
    /// How long a unary call may take, if the caller gave no shorter deadline.
    pub call_timeout: Duration,
    /// The largest request, in bytes.
    pub max_request_bytes: usize,
    /// How long calls under way may take to finish when the process stops.
    pub grace: Duration,
    /// How often callers may call.
    pub rates: RateSettings,
    max_connections: usize,
    connections: Bounds,
    keepalive: Duration,
    tls: Option<TlsSettings>,
}

/// How often one caller may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Calls a second in the long run.
    pub per_second: u32,
    /// Calls at once by somebody who has been quiet.
    pub burst: u32,
}

/// How often callers may call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateSettings {
    /// Each person, however many devices they have.
    pub person: Rate,
    /// Each service on its own behalf.
    pub service: Rate,
    /// The people of each organization together.
    pub organization: Rate,
}

impl RateSettings {
    fn read(reader: &mut Reader) -> Self {
        let mut rate = |whose: &str| Rate {
            per_second: reader.count(&format!("server.{whose}_calls_per_second"), 1..=1_000_000),
            burst: reader.count(&format!("server.{whose}_burst"), 1..=1_000_000),
        };
        Self {
            person: rate("person"),
            service: rate("service"),
            organization: rate("organization"),
        }
    }
}

impl ServerSettings {
    /// Reads the section `server`.
    pub fn read(reader: &mut Reader) -> Self {
        let listen = reader.address("server.listen");
        let tls = TlsSettings::read(reader);
        let allow_plaintext = reader.flag("server.allow_plaintext");
        if tls.is_none() && !allow_plaintext && !listen.ip().is_loopback() {
            let what =
                "is required to listen beyond this machine; where something else encrypts, set server.allow_plaintext";
            reader.fault("server.certificate_file", what);
        }
        let call_timeout = reader.milliseconds("server.call_timeout_ms", 10..=600_000);
        let grace = reader.seconds("server.grace_seconds", 1..=600);
        let last = call_timeout + LINGER + LAST_WORDS;
        if grace <= last {
            // Else what is told of the last calls could be cut off.
            let least = last.as_secs() + 1;
            let what = format!("must be {least} at least: server.call_timeout_ms, and 8 s to end in good order");
            reader.fault("server.grace_seconds", &what);
        }
        Self {
            listen,
            max_concurrent_calls: reader.count("server.max_concurrent_calls", 1..=100_000),
            max_waiting_calls: reader.count("server.max_waiting_calls", 0..=100_000),
            max_wait: reader.milliseconds("server.max_wait_ms", 1..=60_000),
            call_timeout,
            max_request_bytes: reader.count("server.max_request_bytes", 1_024..=16 * 1_024 * 1_024),
            grace,
            rates: RateSettings::read(reader),
            max_connections: reader.count("server.max_connections", 1..=1_000_000),
            connections: Bounds {
                patience: reader.seconds("server.connection_patience_seconds", 1..=600),
                idle: reader.seconds("server.max_connection_idle_seconds", 1..=86_400),
                age: reader.seconds("server.max_connection_age_seconds", 1..=86_400),
                grace: reader.seconds("server.max_connection_grace_seconds", 1..=86_400),
            },
            keepalive: reader.seconds("server.keepalive_seconds", 1..=3_600),
            tls,
        }
    }

    /// How long after the process began to stop calls may still end, and be told of in the audit trail.
    #[must_use]
    pub fn linger(&self) -> Duration {
        self.call_timeout + LINGER
    }

    /// A server with these bounds.
    #[must_use]
    pub fn builder(&self) -> Server {
        Server::new(self.connections, self.keepalive)
    }

    /// Binds the port, and accepts connections: with TLS if there is a certificate.
    ///
    /// # Errors
    /// If that cannot be done: most often something else has it.
    pub async fn bind(&self) -> io::Result<Incoming> {
        let listener = TcpListener::bind(self.listen).await?;
        let tls = self.tls.clone().map(ServerTls::new);
        tls.iter().for_each(ServerTls::watch);
        Incoming::accept(listener, tls, self.max_connections, self.connections.patience)
    }
}

/// Runs a server until it has ended in good order after the process began to stop, or until calls have had the time that
/// they may take: a stream that somebody holds open does not keep the process.
pub async fn run<E: std::error::Error>(
    serving: impl Future<Output = Result<(), E>>,
    stopping: CancellationToken,
    call_timeout: Duration,
) {
    let drained = async {
        stopping.cancelled().await;
        tokio::time::sleep(call_timeout + Duration::from_secs(1)).await;
    };
    tokio::select! {
        served = serving => {
            if let Err(error) = served {
                tracing::error!(%error, "the server failed");
            }
        }
        () = drained => tracing::info!("streams that were still open were cut"),
    }
}

/// The reflection service, of these services and health, made from an encoded descriptor set.
///
/// # Errors
/// If the set cannot be decoded.
pub fn reflection(
    descriptor_set: &'static [u8],
    services: &[&str],
) -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<impl tonic_reflection::server::v1::ServerReflection + use<>>,
    tonic_reflection::server::Error,
> {
    let builder = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(descriptor_set)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .with_service_name("grpc.health.v1.Health");
    services
        .iter()
        .fold(builder, |builder, service| builder.with_service_name(*service))
        .build_v1()
        .map(|service| service.max_decoding_message_size(NAME_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_stops_has_the_time_that_its_last_calls_may_take() {
        let faults = |grace: u64| {
            let text = format!("[server]\ncall_timeout_ms = 30000\ngrace_seconds = {grace}\n");
            let mut reader = Reader::embedded(&text, "").unwrap();
            let settings = ServerSettings::read(&mut reader);
            // There are others: most settings are missing.
            reader.finish(settings).err().unwrap().to_string()
        };
        assert!(faults(37).contains("server.grace_seconds: must be 38 at least"));
        assert!(!faults(38).contains("server.grace_seconds"));
    }
}
