//! Logs and metrics: set up once, at the start of the process.

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line, for machines.
    Json,
}

/// The section `[log]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSettings {
    /// What is logged, as `tracing` filters say it: `info`, `cocotalk_infra=debug,warn` (`info`).
    pub filter: String,
    /// How a line looks: `text` or `json` (`text`).
    pub format: LogFormat,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self {
            filter: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter of the log is not understood.
    #[error("log.filter is not understood")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// Something in this process logs already.
    #[error("the log is set up already")]
    Log(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Something in this process measures already.
    #[error("the metrics are set up already")]
    Metrics(#[from] BuildError),
}

/// Upper bounds of the buckets of times, seconds: from a lone commit to a request that is given up.
const SECONDS: [f64; 14] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 10.0,
];
/// Upper bounds of the buckets of sizes of batches.
const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// Between two clean-ups of the recorder.
const UPKEEP: Duration = Duration::from_secs(5);

/// What the process measures.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl Metrics {
    /// Everything, in the text format of Prometheus.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Keeps the recorder small while nobody asks, until `stop`.
    pub async fn keep_up(self, stop: CancellationToken) {
        let mut every = tokio::time::interval(UPKEEP);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = every.tick() => self.0.run_upkeep(),
            }
        }
    }
}

/// Sets up the log on standard error, and the recorder of metrics.
///
/// # Errors
/// The filter is not understood, or it is done already.
pub fn install(settings: &LogSettings) -> Result<Metrics, TelemetryError> {
    let filter = EnvFilter::try_new(&settings.filter)?;
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    match settings.format {
        LogFormat::Text => log.with_ansi(false).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    }
    .map_err(TelemetryError::Log)?;
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), &COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &COUNTS)?
        .install_recorder()?;
    Ok(Metrics(handle))
}
