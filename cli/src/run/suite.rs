//! The three services in one process, each on a port of its own, talking gRPC as they do in production.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    time::Duration,
};

use carepost_broker::{BrokerError, publisher::Publisher, settings::BrokerSettings, topology::Topology};
use carepost_runtime::{
    Clock,
    database::{self, DatabaseError},
    lifecycle::{self, Lifecycle},
    process::Fatal,
    settings::Faults,
};
use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use super::folder::Folder;
use crate::{
    errors::{Exit, Failure, capital, plain},
    keys::{SigningKey, write_private},
    run::settings::Files,
};

/// How long calls and emails under way may take to finish.
const GRACE: Duration = Duration::from_secs(10);
/// How long the tokens of the services are good.
const TOKEN_LIFETIME: TimeDelta = TimeDelta::hours(1);
/// They are renewed with so much of it left, by the wall clock: a machine may have slept.
const TOKEN_RENEWAL: TimeDelta = TimeDelta::minutes(30);
/// How often the wall clock is looked at.
const LOOK: Duration = Duration::from_secs(5);

/// The services of the suite that call others.
const CALLING: [&str; 2] = ["messaging", "notification"];

/// Where the services listen; 0 is any free port.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Ports {
    /// Port of eligibility on 127.0.0.1; 0 takes any free one.
    #[arg(long = "eligibility-port", value_name = "PORT", default_value_t = 7601)]
    pub eligibility: u16,
    /// Port of messaging.
    #[arg(long = "messaging-port", value_name = "PORT", default_value_t = 7602)]
    pub messaging: u16,
    /// Port of notification.
    #[arg(long = "notification-port", value_name = "PORT", default_value_t = 7603)]
    pub notification: u16,
}

/// A running suite.
pub struct Suite {
    /// Where eligibility listens.
    pub eligibility: SocketAddr,
    /// Where messaging listens.
    pub messaging: SocketAddr,
    /// Where notification listens.
    pub notification: SocketAddr,
    /// Messaging and notification, which end first.
    front: Lifecycle,
    /// Eligibility and the tokens, which the others need to the end.
    back: Lifecycle,
    /// Keeps the broker's file this process's to the end.
    _broker: Publisher,
}

impl Suite {
    /// Starts the three services on a folder.
    ///
    /// `front` is the life of messaging and notification: to stop it stops the suite.
    pub async fn start(folder: &Folder, ports: Ports, front: Lifecycle) -> Result<Self, Failure> {
        must_be_free("eligibility", ports.eligibility)?;
        must_be_free("messaging", ports.messaging)?;
        must_be_free("notification", ports.notification)?;
        let broker = take_broker(&folder.files).await?;
        let back = Lifecycle::default();
        let started = Self::start_within(folder, ports, &front, &back).await;
        match started {
            Ok((eligibility, messaging, notification)) => Ok(Self {
                eligibility,
                messaging,
                notification,
                front,
                back,
                _broker: broker,
            }),
            Err(failure) => {
                let _ = front.finish(GRACE).await;
                let _ = back.finish(GRACE).await;
                Err(failure)
            }
        }
    }

    async fn start_within(
        folder: &Folder,
        ports: Ports,
        front: &Lifecycle,
        back: &Lifecycle,
    ) -> Result<(SocketAddr, SocketAddr, SocketAddr), Failure> {
        use {
            carepost_eligibility as eligibility, carepost_messaging as messaging, carepost_notification as notification,
        };

        let files = &folder.files;
        let clock = Clock::system();
        renew(&folder.key, files, &clock)?;
        let key = SigningKey::read(folder.path())?;
        back.spawn("tokens", keep_renewed(key, files.clone(), clock, back.stopping()));

        let settings = eligibility::settings::Settings::embedded(&files.eligibility(loopback(ports.eligibility)));
        let settings = settings.map_err(|faults| unusable(&faults))?;
        migrated(database::migrate::<carepost_eligibility_migration::Migrator>(&settings.database).await)?;
        let started = eligibility::app::start(settings, back.clone());
        let asked = Box::pin(started)
            .await
            .map_err(|error| unstarted("eligibility", ports.eligibility, &error))?;

        let settings = messaging::settings::Settings::embedded(&files.messaging(loopback(ports.messaging), asked));
        let settings = settings.map_err(|faults| unusable(&faults))?;
        migrated(database::migrate::<carepost_messaging_migration::Migrator>(&settings.database).await)?;
        let started = messaging::app::start(settings, front.clone());
        let written = Box::pin(started)
            .await
            .map_err(|error| unstarted("messaging", ports.messaging, &error))?;

        let text = files.notification(loopback(ports.notification), asked);
        let settings = notification::settings::Settings::embedded(&text).map_err(|faults| unusable(&faults))?;
        migrated(database::migrate::<carepost_notification_migration::Migrator>(&settings.database).await)?;
        let started = notification::app::start(settings, front.clone());
        let mailed = Box::pin(started)
            .await
            .map_err(|error| unstarted("notification", ports.notification, &error))?;
        Ok((asked, written, mailed))
    }

    /// Serves until told to stop, then lets what is under way finish.
    pub async fn serve(self) -> Result<(), Failure> {
        let (front, back) = (self.front.clone(), self.back.stopping());
        let watching = tokio::spawn(async move {
            back.cancelled().await;
            front.stop();
        });
        let front = self.front.run(GRACE).await;
        let back = self.back.finish(GRACE).await;
        watching.abort();
        front.and(back).map_err(|failure| unfinished(&failure))
    }

    /// Ends the suite now.
    pub async fn stop(self) -> Result<(), Failure> {
        let front = self.front.finish(GRACE).await;
        let back = self.back.finish(GRACE).await;
        front.and(back).map_err(|failure| unfinished(&failure))
    }
}

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn must_be_free(service: &str, port: u16) -> Result<(), Failure> {
    TcpListener::bind(loopback(port))
        .map(drop)
        .map_err(|error| not_to_be_had(service, port, &error))
}

/// Takes the broker's file for this process. Whatever is wrong with it is told here, once: the services would start without
/// it, and try again and again to open it.
async fn take_broker(files: &Files) -> Result<Publisher, Failure> {
    let unusable = |what: String| Failure::new(Exit::Failed, "BROKER", what, "Check the disk, or restore the folder");
    let settings = files.broker_url().parse().ok();
    let settings = settings.and_then(|url| BrokerSettings::new(&url, "suite", Topology::default()).ok());
    let settings = settings.ok_or_else(|| unusable("The data folder has a name that no URL has".to_owned()))?;
    let publisher = Publisher::new(settings);
    match publisher.ready().await {
        Ok(()) => Ok(publisher),
        Err(error @ BrokerError::InUse(_)) => Err(Failure::new(
            Exit::Failed,
            "BROKER_IN_USE",
            format!("The broker's file {error}"),
            "Stop that process, or name another folder with --data",
        )),
        Err(error @ BrokerError::Newer(_)) => Err(Failure::usage(
            format!("The broker's file {error} of Carepost"),
            "Run that version, or name another folder with --data",
        )),
        Err(error) => Err(unusable(capital(&error.to_string()))),
    }
}

fn not_to_be_had(service: &str, port: u16, error: &io::Error) -> Failure {
    let what = match error.kind() {
        io::ErrorKind::AddrInUse => format!("Port {port} of {service} is in use by another program"),
        _ => format!("Port {port} of {service} cannot be opened: {}", plain(error)),
    };
    let next = format!("Stop that program, or choose another port with --{service}-port");
    Failure::new(Exit::Failed, "PORT_IN_USE", what, next)
}

fn unstarted(service: &str, port: u16, error: &Fatal) -> Failure {
    match error.downcast_ref::<io::Error>() {
        Some(error) if error.kind() == io::ErrorKind::AddrInUse => not_to_be_had(service, port, error),
        _ => {
            let cause = error.to_string();
            let what = format!("{service} does not start: {}", cause.lines().next().unwrap_or_default());
            Failure::new(Exit::Failed, "NOT_STARTED", what, "See more with --log info")
        }
    }
}

fn unusable(faults: &Faults) -> Failure {
    let what = format!("The settings of the embedded suite are wrong: {}", faults.0.join("; "));
    Failure::new(Exit::Failed, "SETTINGS", what, "")
}

fn migrated(result: Result<(), DatabaseError>) -> Result<(), Failure> {
    result.map_err(|error| {
        let cause = error.to_string();
        let what = capital(cause.lines().next().unwrap_or_default());
        Failure::new(
            Exit::Failed,
            "DATABASE",
            what,
            "Check the disk, restore the folder, or name another one with --data",
        )
    })
}

/// Says that a life did not end, or begin, as it should.
pub fn unfinished(failure: &lifecycle::Failure) -> Failure {
    let what = format!("The suite did not end well: {failure}");
    Failure::new(
        Exit::Failed,
        "STOPPED",
        what,
        "Nothing that was acknowledged is lost; start it again",
    )
}

/// Writes new tokens for the services.
fn renew(key: &SigningKey, files: &Files, clock: &Clock) -> Result<(), Failure> {
    for service in CALLING {
        let token = key.service(service, clock.now(), TOKEN_LIFETIME)?;
        write_private(&files.token(service), &token)?;
    }
    Ok(())
}

async fn keep_renewed(key: SigningKey, files: Files, clock: Clock, stopping: CancellationToken) {
    let mut renewed = clock.now();
    while tokio::time::timeout(LOOK, stopping.cancelled()).await.is_err() {
        if clock.now() - renewed < TOKEN_RENEWAL {
            continue;
        }
        match renew(&key, &files, &clock) {
            Ok(()) => renewed = clock.now(),
            Err(failure) => tracing::error!(%failure, "the tokens of the services could not be renewed"),
        }
    }
}
