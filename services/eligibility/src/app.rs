//! The composition root: the only file that names every concrete part of the service.

use std::{net::SocketAddr, sync::Arc};

use carepost_audit::{Sealer, Trail, Writer};
use carepost_broker::{gauges::Gauges, publisher::Publisher, relay::Relay};
use carepost_eligibility_migration::Migrator;
use carepost_proto::{
    DESCRIPTOR_SET,
    eligibility::v1::{
        directory_service_server::DirectoryServiceServer, eligibility_service_server::EligibilityServiceServer,
        settings_service_server::SettingsServiceServer,
    },
};
use carepost_rpc::{
    authn::{Authenticator, Keys},
    guard::GuardLayer,
};
use carepost_runtime::{
    Clock, Ids, database, health,
    lifecycle::Lifecycle,
    metrics::{self, labels::Component},
    process::Fatal,
    server::{self, ServerSettings},
};
use tokio::sync::Notify;
use tonic_health::pb::health_server::{Health, HealthServer};

use crate::{
    rpc::{Administration, Directory, Eligibility},
    settings::Settings,
    store::Store,
};

/// The services whose health is told.
const SERVICES: &[&str] = &[
    "carepost.eligibility.v1.EligibilityService",
    "carepost.eligibility.v1.DirectoryService",
    "carepost.eligibility.v1.SettingsService",
];

/// Starts the service within the life of a process, and tells where it listens.
///
/// # Errors
/// If the database cannot be used, the port is taken, or the machine's root certificates cannot be read.
pub async fn start(settings: Settings, life: Lifecycle) -> Result<SocketAddr, Fatal> {
    let clock = Clock::system();
    let database = database::connect::<Migrator>(&settings.database).await?;
    let probe = database::Probe::new(&settings.database, &database).await?;
    let keys = Keys::load(&settings.identity).await;
    let authenticator = Authenticator::new(settings.identity, keys.clone(), clock.clone());
    let outbox = Arc::new(Notify::new());
    let store = Store::new(database.clone(), Arc::clone(&outbox));
    let (trail, writer) = Writer::new(database.clone(), clock.clone());
    let sealer = Sealer::new(database.clone(), clock.clone(), Component::Eligibility);
    let broker = Gauges::new(Component::Eligibility, settings.broker.clone(), clock.clone());
    let reading = (database.clone(), Arc::new(broker));
    let read = move || {
        let (database, broker) = reading.clone();
        async move {
            broker.queues().await;
            broker.outbox(&database).await
        }
    };
    life.spawn(
        "gauges",
        metrics::follow(
            Component::Eligibility,
            database.clone(),
            probe.clone(),
            read,
            life.stopping(),
        ),
    );
    let relay = Relay {
        db: database.clone(),
        publisher: Publisher::new(settings.broker),
        clock: clock.clone(),
        ids: Ids,
        wake: outbox,
        settings: settings.outbox,
    };
    let administration = Administration {
        store: store.clone(),
        clock: clock.clone(),
    };
    let eligibility = Eligibility { store: store.clone() };
    let directory = Directory::new(store, clock, life.stopping(), settings.import);

    let (reporter, health) = health::service();
    let rpcs = (eligibility, administration, directory);
    let linger = settings.server.linger();
    life.spawn("audit", writer.run(life.stopping(), linger));
    life.spawn("seals", sealer.run(life.stopping()));
    let address = serve(&settings.server, (authenticator, trail), rpcs, health, &life).await?;
    life.spawn("keys", keys.keep_fresh(life.stopping()));
    life.spawn("relay", relay.run(life.stopping()));
    life.spawn(
        "health",
        health::follow_database(reporter, SERVICES, probe, life.clone()),
    );
    Ok(address)
}

async fn serve(
    settings: &ServerSettings,
    (authenticator, trail): (Authenticator, Trail),
    (eligibility, administration, directory): (Eligibility, Administration, Directory),
    health: HealthServer<impl Health>,
    life: &Lifecycle,
) -> Result<SocketAddr, Fatal> {
    let incoming = settings.bind().await?;
    let address = incoming.address();
    let most = settings.max_request_bytes;
    let guard = GuardLayer::new(authenticator, trail, settings);
    let serving = settings
        .builder()
        .layer(guard)
        .add_service(health)
        .add_service(server::reflection(DESCRIPTOR_SET, SERVICES)?)
        .add_service(EligibilityServiceServer::new(eligibility).max_decoding_message_size(most))
        .add_service(SettingsServiceServer::new(administration).max_decoding_message_size(most))
        .add_service(DirectoryServiceServer::new(directory).max_decoding_message_size(most))
        .serve_with_incoming_shutdown(incoming, life.stopping().cancelled_owned());
    life.spawn("server", server::run(serving, life.stopping(), settings.call_timeout));
    tracing::info!(%address, "listening");
    Ok(address)
}
