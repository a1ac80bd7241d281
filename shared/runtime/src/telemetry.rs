//! Logs and traces.
//!
//! Logs go to standard output, one event a line. Traces go to an OTLP receiver if one is configured; trace ids are made and
//! passed on in any case, so that the logs of the three services can be joined.

use std::time::Duration;

use opentelemetry::{global, trace::TracerProvider as _};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracerProvider},
};
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};
use url::Url;

use crate::{metrics::MetricsSettings, settings::Reader};

/// How logs are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Settings of logs, traces and metrics.
#[derive(Clone, Debug)]
pub struct TelemetrySettings {
    filter: String,
    format: Format,
    otlp: Option<Url>,
    pub(crate) metrics: MetricsSettings,
}

impl TelemetrySettings {
    /// Reads the sections `telemetry` and `metrics`.
    pub fn read(reader: &mut Reader) -> Self {
        let filter = reader.text("telemetry.log_filter");
        if let Err(error) = EnvFilter::try_new(&filter) {
            reader.fault("telemetry.log_filter", error);
        }
        let format = match reader.text("telemetry.log_format").as_str() {
            "json" => Format::Json,
            "text" => Format::Text,
            _ => {
                reader.fault("telemetry.log_format", "must be json or text");
                Format::Json
            }
        };
        let otlp: Option<Url> = reader.optional_parsed("telemetry.otlp_endpoint");
        Self {
            filter,
            format,
            otlp,
            metrics: MetricsSettings::read(reader),
        }
    }
}

/// What has to be flushed at the end.
#[derive(Debug)]
pub struct Telemetry(SdkTracerProvider);

/// Why telemetry could not be started.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The exporter of traces could not be made.
    #[error("traces: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// There is a subscriber already.
    #[error("logs: {0}")]
    Subscriber(#[from] tracing_subscriber::util::TryInitError),
}

impl Telemetry {
    /// Starts logs and traces of this process. To be called once, inside the tokio runtime.
    ///
    /// # Errors
    /// If it was called before, or the exporter cannot be made.
    pub fn start(service: &'static str, settings: &TelemetrySettings) -> Result<Self, TelemetryError> {
        global::set_text_map_propagator(TraceContextPropagator::new());
        let provider = provider(service, settings)?;
        let traces = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(service))
            .with_location(false);
        let logs = tracing_subscriber::fmt::layer();
        let logs = match settings.format {
            Format::Json => logs.json().flatten_event(true).with_span_list(false).boxed(),
            Format::Text => logs.with_target(false).compact().boxed(),
        };
        let filter = EnvFilter::try_new(&settings.filter).unwrap_or_default();
        tracing_subscriber::registry()
            .with(filter)
            .with(logs)
            .with(traces)
            .try_init()?;
        Ok(Self(provider))
    }

    /// Sends what has not been sent yet; waits five seconds at most.
    pub async fn stop(self) {
        let flushed = tokio::task::spawn_blocking(move || self.0.shutdown_with_timeout(Duration::from_secs(5))).await;
        if let Ok(Err(error)) = flushed {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

fn provider(service: &'static str, settings: &TelemetrySettings) -> Result<SdkTracerProvider, TelemetryError> {
    let resource = Resource::builder()
        .with_service_name(format!("carepost-{service}"))
        .build();
    let builder = SdkTracerProvider::builder().with_resource(resource);
    let Some(endpoint) = &settings.otlp else {
        let unsampled = Sampler::ParentBased(Box::new(Sampler::AlwaysOff));
        return Ok(builder.with_sampler(unsampled).build());
    };
    let exporter = SpanExporter::builder()
        .with_tonic()
        .with_endpoint(endpoint.as_str())
        .with_timeout(Duration::from_secs(5))
        .build()?;
    Ok(builder.with_batch_exporter(exporter).build())
}
