//! The settings of the service. `config/default.toml` explains each.

use std::path::Path;

use carepost_broker::{consumer::ConsumerSettings, settings::BrokerSettings};
use carepost_rpc::{authn::IdentitySettings, peer::PeerSettings};
use carepost_runtime::{
    database::DatabaseSettings,
    server::ServerSettings,
    settings::{Faults, Reader},
    telemetry::TelemetrySettings,
};

pub use crate::mail::MailSettings;

/// The annotated defaults.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// All settings.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Logs and traces.
    pub telemetry: TelemetrySettings,
    /// The gRPC server.
    pub server: ServerSettings,
    /// The service's own database.
    pub database: DatabaseSettings,
    /// Whose tokens are accepted, and what services may do.
    pub identity: IdentitySettings,
    /// The eligibility service.
    pub eligibility: PeerSettings,
    /// The broker.
    pub broker: BrokerSettings,
    /// How events are taken from it.
    pub inbox: ConsumerSettings,
    /// The mail server.
    pub mail: MailSettings,
}

impl Settings {
    /// Reads the defaults, the file if there is one, and the environment.
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
        let telemetry = TelemetrySettings::read(&mut reader);
        let server = ServerSettings::read(&mut reader);
        let database = DatabaseSettings::read(&mut reader);
        let identity = IdentitySettings::read(&mut reader);
        let eligibility = PeerSettings::read(&mut reader, "eligibility");
        let broker = BrokerSettings::read(&mut reader, "carepost-notification");
        let queue = broker.topology().message_sent_queue().to_owned();
        let inbox = ConsumerSettings::read(&mut reader, &queue);
        let mail = MailSettings::read(&mut reader);
        reader.finish(Self {
            telemetry,
            server,
            database,
            identity,
            eligibility,
            broker,
            inbox,
            mail,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_lack_only_what_has_no_default() {
        let faults = Settings::load(None).unwrap_err();
        let keys: Vec<_> = faults.0.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(
            keys,
            [
                "database.url",
                "identity.issuers",
                "eligibility.token_file",
                "broker.url",
                "mail.url",
                "mail.from"
            ]
        );
    }
}
