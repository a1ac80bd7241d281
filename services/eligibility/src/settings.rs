//! The settings of the service: `config/default.toml` explains each.

use std::path::Path;

use carepost_broker::{relay::RelaySettings, settings::BrokerSettings};
use carepost_rpc::authn::IdentitySettings;
use carepost_runtime::{
    database::DatabaseSettings,
    server::ServerSettings,
    settings::{Faults, Reader},
    telemetry::TelemetrySettings,
};

use crate::rpc::ImportLimits;

/// The annotated defaults.
pub const DEFAULTS: &str = include_str!("../config/default.toml");

/// All settings, parsed and checked.
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
    /// The broker.
    pub broker: BrokerSettings,
    /// The outbox relay.
    pub outbox: RelaySettings,
    /// The bounds of imports.
    pub import: ImportLimits,
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
        let settings = Self {
            telemetry: TelemetrySettings::read(&mut reader),
            server: ServerSettings::read(&mut reader),
            database: DatabaseSettings::read(&mut reader),
            identity: IdentitySettings::read(&mut reader),
            broker: BrokerSettings::read(&mut reader, "carepost-eligibility"),
            outbox: RelaySettings::read(&mut reader),
            import: ImportLimits {
                idle: reader.milliseconds("import.idle_timeout_ms", 100..=600_000),
                longest: reader.milliseconds("import.timeout_ms", 1_000..=86_400_000),
            },
        };
        reader.finish(settings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_lack_only_what_has_no_default() {
        let faults = Settings::load(None).unwrap_err();
        let keys: Vec<_> = faults.0.iter().filter_map(|fault| fault.split(':').next()).collect();
        assert_eq!(keys, ["database.url", "identity.issuers", "broker.url"]);
    }
}
