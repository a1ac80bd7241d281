//! Puts the service together: the only file that names every concrete part.

use std::{net::SocketAddr, sync::Arc};

use carepost_audit::{Sealer, Trail, Writer};
use carepost_broker::{consumer::Consumer, gauges::Gauges};
use carepost_identity::{Actor, ServiceName};
use carepost_notification_migration::Migrator;
use carepost_proto::{DESCRIPTOR_SET, notification::v1::notification_service_server::NotificationServiceServer};
use carepost_rpc::{
    authn::{Authenticator, Keys},
    guard::GuardLayer,
    peer::Peer,
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
    counts,
    inbox::Inbox,
    mail::{Mailer, Recipients, Transport},
    rpc::Notification,
    settings::Settings,
    store::Store,
};

/// The services whose health is told.
const SERVICES: &[&str] = &["carepost.notification.v1.NotificationService"];

/// Starts the service within a life, and tells where it listens.
///
/// # Errors
/// If the database cannot be used, a file that the settings name cannot be read, or the port is taken.
pub async fn start(settings: Settings, life: Lifecycle) -> Result<SocketAddr, Fatal> {
    let clock = Clock::system();
    let transport = Transport::new(&settings.mail)?;
    let eligibility = Peer::new("eligibility", &settings.eligibility)?;
    let database = database::connect::<Migrator>(&settings.database).await?;
    let probe = database::Probe::new(&settings.database, &database).await?;
    let keys = Keys::load(&settings.identity).await;
    let authenticator = Authenticator::new(settings.identity, keys.clone(), clock.clone());
    let store = Store::new(database.clone());
    let (trail, writer) = Writer::new(database.clone(), clock.clone());
    let sealer = Sealer::new(database.clone(), clock.clone(), Component::Notification);
    let actor = Actor::Service(ServiceName::parse("notification")?);
    let wake = Arc::new(Notify::new());
    let inbox = Inbox {
        store: store.clone(),
        actor: actor.clone(),
        clock: clock.clone(),
        mailer: Arc::clone(&wake),
    };
    let notification = Notification {
        store: store.clone(),
        clock: clock.clone(),
        from: transport.from().clone(),
        mailer: Arc::clone(&wake),
    };
    let mailer = Mailer {
        store,
        recipients: Recipients::new(eligibility, settings.mail.staff_url().cloned()),
        transport,
        settings: settings.mail,
        actor,
        clock: clock.clone(),
        ids: Ids,
        wake,
    };
    let broker = Gauges::new(Component::Notification, settings.broker.clone(), clock.clone());
    let reading = (mailer.store.clone(), Arc::new(broker));
    let read = move || {
        let (store, broker) = reading.clone();
        async move {
            broker.queues().await;
            counts::read(store, Clock::system().now()).await
        }
    };
    life.spawn(
        "gauges",
        metrics::follow(
            Component::Notification,
            database.clone(),
            probe.clone(),
            read,
            life.stopping(),
        ),
    );
    let consumer = Consumer::new(settings.broker, clock);
    let consuming = consumer.run(
        settings.inbox,
        move |event| inbox.clone().handle(event),
        life.stopping(),
    );

    let (reporter, health) = health::service();
    let linger = settings.server.linger();
    life.spawn("audit", writer.run(life.stopping(), linger));
    life.spawn("seals", sealer.run(life.stopping()));
    let address = serve(&settings.server, (authenticator, trail), notification, health, &life).await?;
    life.spawn(
        "health",
        health::follow_database(reporter, SERVICES, probe, life.clone()),
    );
    life.spawn("keys", keys.keep_fresh(life.stopping()));
    life.spawn("inbox", consuming);
    life.spawn("mailer", mailer.run(life.stopping()));
    Ok(address)
}

async fn serve(
    settings: &ServerSettings,
    (authenticator, trail): (Authenticator, Trail),
    notification: Notification,
    health: HealthServer<impl Health>,
    life: &Lifecycle,
) -> Result<SocketAddr, Fatal> {
    let incoming = settings.bind().await?;
    let address = incoming.address();
    let service = NotificationServiceServer::new(notification).max_decoding_message_size(settings.max_request_bytes);
    let router = settings
        .builder()
        .layer(GuardLayer::new(authenticator, trail, settings))
        .add_service(health)
        .add_service(server::reflection(DESCRIPTOR_SET, SERVICES)?)
        .add_service(service);
    let serving = router.serve_with_incoming_shutdown(incoming, life.stopping().cancelled_owned());
    life.spawn("server", server::run(serving, life.stopping(), settings.call_timeout));
    tracing::info!(%address, "notification is ready");
    Ok(address)
}
