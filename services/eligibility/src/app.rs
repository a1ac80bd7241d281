//! The composition root: the only file that names every concrete part of the service.

use std::net::SocketAddr;

use carepost_eligibility_migration::Migrator;
use carepost_proto::{
    DESCRIPTOR_SET,
    eligibility::v1::{
        directory_service_server::DirectoryServiceServer, eligibility_service_server::EligibilityServiceServer,
    },
};
use carepost_rpc::{
    authn::{Authenticator, Keys},
    guard::GuardLayer,
};
use carepost_runtime::{Clock, database, health, lifecycle::Lifecycle, process::Fatal, server};

use crate::{
    rpc::{Directory, Eligibility},
    settings::Settings,
    store::Store,
};

/// The services whose health is told.
const SERVICES: &[&str] = &[
    "carepost.eligibility.v1.EligibilityService",
    "carepost.eligibility.v1.DirectoryService",
];

/// Starts the service within the life of a process, and tells where it listens.
///
/// # Errors
/// If the database cannot be used, the port is taken, or the machine's root certificates cannot be read.
pub async fn start(settings: Settings, life: Lifecycle) -> Result<SocketAddr, Fatal> {
    let clock = Clock::system();
    let database = database::connect::<Migrator>(&settings.database).await?;
    let keys = Keys::load(&settings.identity).await?;
    let store = Store::new(database.clone());
    let incoming = settings.server.bind().await?;
    let address = incoming.local_addr()?;

    let limits = &settings.server;
    let authenticator = Authenticator::new(settings.identity, keys.clone(), clock.clone());
    let guard = GuardLayer::new(authenticator, limits.max_concurrent_calls, limits.call_timeout);
    let (reporter, health_service) = tonic_health::server::health_reporter();
    let eligibility = EligibilityServiceServer::new(Eligibility { store: store.clone() });
    let directory = DirectoryServiceServer::new(Directory::new(store, clock, life.stopping()));
    let serving = limits
        .builder()
        .layer(guard)
        .add_service(health_service)
        .add_service(server::reflection(DESCRIPTOR_SET, SERVICES)?)
        .add_service(eligibility.max_decoding_message_size(limits.max_request_bytes))
        .add_service(directory.max_decoding_message_size(limits.max_request_bytes))
        .serve_with_incoming_shutdown(incoming, life.stopping().cancelled_owned());

    life.spawn("keys", keys.keep_fresh(life.stopping()));
    life.spawn(
        "health",
        health::follow_database(reporter, SERVICES, database, life.stopping()),
    );
    life.spawn("server", server::run(serving, life.stopping(), limits.call_timeout));
    tracing::info!(%address, "listening");
    Ok(address)
}
