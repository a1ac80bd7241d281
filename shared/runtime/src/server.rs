//! The gRPC server: its bounds, and what every service has beside its own RPCs.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};

use crate::settings::Reader;

/// Settings of the server.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Where it listens.
    pub listen: SocketAddr,
    /// The most calls under way at once; more are refused at the door.
    pub max_concurrent_calls: usize,
    /// How long a unary call may take, if the caller gave no shorter deadline.
    pub call_timeout: Duration,
    /// The largest request, in bytes.
    pub max_request_bytes: usize,
    /// How long calls under way may take to finish when the process stops.
    pub grace: Duration,
    connection_age: Duration,
    keepalive: Duration,
}

impl ServerSettings {
    /// Reads the section `server`.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            listen: reader.address("server.listen"),
            max_concurrent_calls: reader.count("server.max_concurrent_calls", 1..=100_000),
            call_timeout: reader.milliseconds("server.call_timeout_ms", 10..=600_000),
            max_request_bytes: reader.count("server.max_request_bytes", 1_024..=16 * 1_024 * 1_024),
            grace: reader.seconds("server.grace_seconds", 1..=600),
            connection_age: reader.seconds("server.max_connection_age_seconds", 10..=86_400),
            keepalive: reader.seconds("server.keepalive_seconds", 5..=3_600),
        }
    }

    /// A server with these bounds.
    #[must_use]
    pub fn builder(&self) -> Server {
        Server::builder()
            .max_concurrent_streams(1_024)
            .http2_max_header_list_size(16 * 1_024)
            .http2_keepalive_interval(Some(self.keepalive))
            .http2_keepalive_timeout(Some(Duration::from_secs(20)))
            .tcp_keepalive(Some(self.keepalive))
            // Clients come back and spread over the replicas that are there by then.
            .max_connection_age(self.connection_age)
            .max_connection_age_grace(self.grace)
            .tcp_nodelay(true)
    }

    /// Binds the port.
    ///
    /// # Errors
    /// If that cannot be done: most often something else has it.
    pub async fn bind(&self) -> io::Result<TcpIncoming> {
        let listener = TcpListener::bind(self.listen).await?;
        Ok(TcpIncoming::from(listener).with_nodelay(Some(true)))
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
}
