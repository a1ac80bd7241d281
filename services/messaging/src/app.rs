//! The composition root: the only file that names every concrete part of the service.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use carepost_audit::{Sealer, Trail, Writer};
use carepost_broker::{
    consumer::Consumer,
    gauges::Gauges,
    listener::{HintListener, ListenerSettings},
    publisher::Publisher,
    relay::Relay,
};
use carepost_identity::{Actor, ServiceName};
use carepost_messaging_migration::Migrator;
use carepost_proto::{
    DESCRIPTOR_SET,
    messaging::v1::{messaging_service_server::MessagingServiceServer, operator_service_server::OperatorServiceServer},
};
use carepost_rpc::{
    authn::{Authenticator, Keys},
    guard::GuardLayer,
    peer::Peer,
};
use carepost_runtime::{
    Clock, Ids, database, health,
    lifecycle::Lifecycle,
    metrics,
    process::Fatal,
    server::{self, ServerSettings},
};
use tokio::{
    sync::{Notify, Semaphore},
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    eligibility::Eligibility,
    gauges,
    inbox::{Inbox, Outdated},
    rpc::Messaging,
    settings::Settings,
    store::{Store, StoreError},
    watch::Hub,
};

const SERVICES: &[&str] = &[
    "carepost.messaging.v1.MessagingService",
    "carepost.messaging.v1.OperatorService",
];
/// How often old requests are forgotten.
const SWEEP: Duration = Duration::from_secs(60);

/// Starts the service within a life, and tells where it listens.
///
/// # Errors
/// If the database cannot be used, the port is taken, or the machine's root certificates cannot be read.
pub async fn start(settings: Settings, life: Lifecycle) -> Result<SocketAddr, Fatal> {
    let database = database::connect::<Migrator>(&settings.database).await?;
    let probe = database::Probe::new(&settings.database, &database).await?;
    let keys = Keys::load(&settings.identity).await;
    let authenticator = Authenticator::new(settings.identity, keys.clone(), Clock::system());
    let outbox = Arc::new(Notify::new());
    let (outdated, seen) = Outdated::new();
    let store = Store::new(database.clone());
    let (trail, writer) = Writer::new(database.clone(), Clock::system());
    let sealer = Sealer::new(database.clone(), Clock::system(), gauges::COMPONENT);
    let watches = Hub::new(
        store.clone(),
        trail.clone(),
        settings.watch,
        Clock::system(),
        life.stopping(),
    );
    let messaging = Messaging {
        store,
        eligibility: Eligibility::new(Peer::new("eligibility", &settings.eligibility)?),
        clock: Clock::system(),
        ids: Ids,
        limits: settings.limits,
        search_timeout: settings.search_timeout,
        searches: Arc::new(Semaphore::new(settings.concurrent_searches)),
        watches: watches.clone(),
        outbox: Arc::clone(&outbox),
        outdated,
    };
    let inbox = Inbox {
        store: messaging.store.clone(),
        eligibility: messaging.eligibility.clone(),
        actor: Actor::Service(ServiceName::parse("messaging")?),
        clock: Clock::system(),
    };
    life.spawn("outdated names", inbox.clone().refresh_outdated(seen, life.stopping()));
    let consumer = Consumer::new(settings.broker.clone(), Clock::system());
    let consuming = consumer.run(
        settings.inbox,
        move |event| inbox.clone().handle(event),
        life.stopping(),
    );
    let (listener, hints) = HintListener::new(settings.broker.clone(), ListenerSettings::default(), Clock::system());
    let broker = Gauges::new(gauges::COMPONENT, settings.broker.clone(), Clock::system());
    let reading = (messaging.store.clone(), database.clone(), Arc::new(broker));
    let relay = Relay {
        db: database.clone(),
        publisher: Publisher::new(settings.broker),
        clock: Clock::system(),
        ids: Ids,
        wake: outbox,
        settings: settings.outbox,
    };

    let read = move || {
        let (store, database, broker) = reading.clone();
        async move { gauges::read(&store, &broker, &database, &Clock::system()).await }
    };
    life.spawn(
        "gauges",
        metrics::follow(
            gauges::COMPONENT,
            database.clone(),
            probe.clone(),
            read,
            life.stopping(),
        ),
    );
    let (reporter, health) = health::service();
    life.spawn(
        "health",
        health::follow_database(reporter, SERVICES, probe, life.clone()),
    );
    let linger = settings.server.linger();
    life.spawn("audit", writer.run(life.stopping(), linger));
    life.spawn("seals", sealer.run(life.stopping()));
    life.spawn("keys", keys.keep_fresh(life.stopping()));
    life.spawn("relay", relay.run(life.stopping()));
    life.spawn("inbox", consuming);
    life.spawn("hints", listener.run(life.stopping()));
    life.spawn("watches", watches.run(hints, life.stopping()));
    life.spawn("sweep", sweep(messaging.store.clone(), life.stopping()));
    serve(&settings.server, (authenticator, trail), messaging, health, &life).await
}

async fn serve(
    settings: &ServerSettings,
    (authenticator, trail): (Authenticator, Trail),
    messaging: Messaging,
    health: tonic_health::pb::health_server::HealthServer<impl tonic_health::pb::health_server::Health>,
    life: &Lifecycle,
) -> Result<SocketAddr, Fatal> {
    let incoming = settings.bind().await?;
    let address = incoming.address();
    let operators = OperatorServiceServer::new(messaging.clone()).max_decoding_message_size(settings.max_request_bytes);
    let service = MessagingServiceServer::new(messaging).max_decoding_message_size(settings.max_request_bytes);
    let router = settings
        .builder()
        .layer(GuardLayer::new(authenticator, trail, settings))
        .add_service(health)
        .add_service(server::reflection(DESCRIPTOR_SET, SERVICES)?)
        .add_service(operators)
        .add_service(service);
    let serving = router.serve_with_incoming_shutdown(incoming, life.stopping().cancelled_owned());
    life.spawn("server", server::run(serving, life.stopping(), settings.call_timeout));
    tracing::info!(%address, "messaging is ready");
    Ok(address)
}

/// Forgets old requests, now and then, until the process stops.
async fn sweep(store: Store, stopping: CancellationToken) {
    let clock = Clock::system();
    let sweeping = async {
        loop {
            sleep(SWEEP).await;
            // A database that falls silent is asked again the next time.
            let swept = timeout(SWEEP, async {
                while store.sweep_requests(clock.now()).await? {}
                Ok::<_, StoreError>(())
            });
            match swept.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "old requests could not be removed"),
                Err(_) => {
                    tracing::warn!("old requests could not be removed in time; the rest is left to the next time")
                }
            }
        }
    };
    stopping.run_until_cancelled(sweeping).await;
}
