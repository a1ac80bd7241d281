//! The settings of the service: `config/default.toml` explains each.

use std::{path::Path, time::Duration};

use carepost_broker::{consumer::ConsumerSettings, relay::RelaySettings, settings::BrokerSettings};
use carepost_rpc::{authn::IdentitySettings, peer::PeerSettings};
use carepost_runtime::{
    database::DatabaseSettings,
    server::ServerSettings,
    settings::{Faults, Reader},
    telemetry::TelemetrySettings,
};

use crate::{domain::Limits, watch::WatchSettings};

/// The annotated defaults.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// The settings, parsed and checked.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// The gRPC server.
    pub server: ServerSettings,
    /// The database.
    pub database: DatabaseSettings,
    /// Whose calls are accepted.
    pub identity: IdentitySettings,
    /// Limits of what is written.
    pub limits: Limits,
    /// How long a search may take.
    pub search_timeout: Duration,
    /// How many searches the database may work on at the same time.
    pub concurrent_searches: usize,
    /// Watches of mailboxes.
    pub watch: WatchSettings,
    /// The eligibility service.
    pub eligibility: PeerSettings,
    /// The broker.
    pub broker: BrokerSettings,
    /// The outbox relay.
    pub outbox: RelaySettings,
    /// The queue of changes of the directory.
    pub inbox: ConsumerSettings,
}

impl Settings {
    /// Reads the defaults, the file and the environment.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn load(file: Option<&Path>) -> Result<Self, Faults> {
        Self::read(Reader::load(DEFAULTS, file)?)
    }

    /// Reads the defaults and a text over them, for the embedded suite.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn embedded(over: &str) -> Result<Self, Faults> {
        Self::read(Reader::embedded(DEFAULTS, over)?)
    }

    fn read(mut reader: Reader) -> Result<Self, Faults> {
        let broker = BrokerSettings::read(&mut reader, "carepost-messaging");
        let inbox = ConsumerSettings::read(&mut reader, broker.topology().directory_changed_queue());
        let settings = Self {
            telemetry: TelemetrySettings::read(&mut reader),
            server: ServerSettings::read(&mut reader),
            database: DatabaseSettings::read(&mut reader),
            identity: IdentitySettings::read(&mut reader),
            limits: Limits {
                subject: reader.count("limits.subject_characters", 1..=1_000),
                body: reader.count("limits.body_characters", 1..=60_000),
                recipients: reader.count("limits.recipients", 1..=50),
            },
            search_timeout: reader.milliseconds("search.timeout_ms", 10..=60_000),
            concurrent_searches: reader.count("search.concurrent", 1..=1_000),
            watch: WatchSettings::read(&mut reader),
            eligibility: PeerSettings::read(&mut reader, "eligibility"),
            broker,
            outbox: RelaySettings::read(&mut reader),
            inbox,
        };
        reader.finish(settings)
    }
}
