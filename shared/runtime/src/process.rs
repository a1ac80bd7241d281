//! A process from its settings to its exit code.

use std::{error::Error, path::Path, process::ExitCode, time::Duration};

use sea_orm_migration::MigratorTrait;

use crate::{
    command::report_faults,
    database::{self, DatabaseSettings},
    lifecycle::Lifecycle,
    metrics,
    settings::{Faults, Reader},
    telemetry::{Telemetry, TelemetrySettings},
};

/// A process of the suite, about to begin.
#[derive(Debug)]
pub struct Process<'a> {
    service: &'static str,
    telemetry: &'a TelemetrySettings,
}

/// Any error that ends a process. It is logged, so it must not hold health data.
pub type Fatal = Box<dyn Error + Send + Sync>;

/// Brings the database of a service to this version's schema, and gives the exit code. It reads the sections `database`,
/// `telemetry` and `metrics` alone: whoever migrates needs no other secret.
#[must_use]
pub fn migrate<M: MigratorTrait>(service: &'static str, defaults: &str, file: Option<&Path>) -> ExitCode {
    let (telemetry, database) = match migration_settings(defaults, file) {
        Ok(settings) => settings,
        Err(faults) => return report_faults(&faults),
    };
    let work = async { database::migrate::<M>(&database).await.map_err(Fatal::from) };
    Process::new(service, &telemetry).run_once(work)
}

fn migration_settings(defaults: &str, file: Option<&Path>) -> Result<(TelemetrySettings, DatabaseSettings), Faults> {
    let mut reader = Reader::load(defaults, file)?;
    let settings = (
        TelemetrySettings::read(&mut reader),
        DatabaseSettings::read(&mut reader),
    );
    reader.finish_part(settings)
}

impl<'a> Process<'a> {
    /// A process of this service.
    #[must_use]
    pub fn new(service: &'static str, telemetry: &'a TelemetrySettings) -> Self {
        Self { service, telemetry }
    }

    /// Does one piece of work, then ends: 0, or 1 if it failed.
    #[must_use]
    pub fn run_once(self, work: impl Future<Output = Result<(), Fatal>>) -> ExitCode {
        self.run(work)
    }

    /// Starts what `start` puts into the life of the process, and serves until told to stop: 0, or 1 if it could not start,
    /// a task of it died, or work was left undone after the grace period.
    #[must_use]
    pub fn serve<F: Future<Output = Result<(), Fatal>>>(
        self,
        grace: Duration,
        start: impl FnOnce(Lifecycle) -> F,
    ) -> ExitCode {
        let life = Lifecycle::default();
        let start = start(life.clone());
        let settings = self.telemetry.metrics;
        self.run(async move {
            life.heed_signals()?;
            metrics::serve(settings, &life).await?;
            let stopping = life.stopping();
            tokio::select! {
                started = start => {
                    started?;
                    life.readiness().started();
                }
                () = stopping.cancelled() => tracing::info!("told to stop while it started"),
            }
            life.run(grace).await?;
            Ok(())
        })
    }

    #[allow(clippy::print_stderr, reason = "there may be no logs yet")]
    fn run(self, work: impl Future<Output = Result<(), Fatal>>) -> ExitCode {
        // Somebody may have installed one before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let ended = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(Fatal::from)
            .and_then(|runtime| {
                runtime.block_on(async {
                    let telemetry = Telemetry::start(self.service, self.telemetry)?;
                    let ended = work.await;
                    if let Err(error) = &ended {
                        tracing::error!(%error, "the process failed");
                    }
                    telemetry.stop().await;
                    ended
                })
            });
        match ended {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("carepost-{}: {error}", self.service);
                ExitCode::FAILURE
            }
        }
    }
}
