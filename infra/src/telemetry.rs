//! Logs, metrics and spans: set up once, at the start of the process, and sent off at its end.

#[cfg(feature = "otlp")]
mod spans;

use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::FilterExt as _;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry, filter};

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

/// The section `[otlp]` of the configuration: spans of commands, sent to a collector of OpenTelemetry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OtlpSettings {
    /// Where the collector takes spans over HTTP, such as `http://127.0.0.1:4318/v1/traces` (empty: none are sent). Without
    /// TLS: the collector runs beside the process.
    pub endpoint: String,
    /// Of the commands whose request brought no trace along, one in so many is told (1: every one). Of the others those are
    /// told that their sender keeps.
    pub one_in: u32,
    /// Spans that may wait to be sent (8,192: a few seconds of a busy process); what comes on top is dropped.
    pub queue_spans: usize,
    /// How long spans are gathered before they are sent, milliseconds (1,000).
    pub gather_ms: u64,
    /// How long the collector may take to answer, milliseconds (5,000).
    pub timeout_ms: u64,
}

impl Default for OtlpSettings {
    fn default() -> Self {
        Self {
            endpoint: String::new(),
            one_in: 1,
            queue_spans: 8_192,
            gather_ms: 1_000,
            timeout_ms: 5_000,
        }
    }
}

impl OtlpSettings {
    /// What makes no sense.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if self.is_on() && !cfg!(feature = "otlp") {
            problems.push("otlp.endpoint: this build sends no spans, build it with the feature otlp".to_owned());
        }
        if self.is_on() && !self.endpoint.starts_with("http://") {
            problems.push("otlp.endpoint must begin with http://".to_owned());
        }
        let numbers = [
            ("one_in", u64::from(self.one_in), u64::from(u32::MAX)),
            ("queue_spans", self.queue_spans as u64, 1 << 20),
            ("gather_ms", self.gather_ms, 600_000),
            ("timeout_ms", self.timeout_ms, 600_000),
        ];
        let wrong = numbers.iter().filter(|(_, value, most)| !(1..=*most).contains(value));
        problems.extend(wrong.map(|(name, _, most)| format!("otlp.{name} must be 1 to {most}")));
        problems
    }

    fn is_on(&self) -> bool {
        !self.endpoint.is_empty()
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
    Log(#[from] tracing_subscriber::util::TryInitError),
    /// Something in this process measures already.
    #[error("the metrics are set up already")]
    Metrics(#[from] BuildError),
    /// Spans cannot be sent there.
    #[error("otlp.endpoint cannot be used")]
    Spans(#[source] Box<dyn std::error::Error + Send + Sync>),
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

/// What was set up.
pub struct Telemetry {
    /// What the process measures.
    pub metrics: Metrics,
    #[cfg(feature = "otlp")]
    spans: Option<spans::Sink>,
}

impl Telemetry {
    /// Sends off what waits, for as long as the collector may take. Blocks.
    pub fn finish(&self) {
        #[cfg(feature = "otlp")]
        if let Some(spans) = &self.spans {
            spans.finish();
        }
    }
}

/// Sets up the log on standard error, the recorder of metrics, and the sending of spans if they are asked for. `service` is
/// what the process is called there.
///
/// # Errors
/// The filter is not understood, spans cannot be sent where they should, or it is done already.
pub fn install(log: &LogSettings, otlp: &OtlpSettings, service: &'static str) -> Result<Telemetry, TelemetryError> {
    #[cfg(feature = "otlp")]
    let (more, spans) = spans::layer(otlp, service)?.unzip();
    #[cfg(not(feature = "otlp"))]
    let (more, _) = (None::<Hearing>, (otlp, service));
    let heard: Vec<Hearing> = [lines(log)?].into_iter().chain(more).collect();
    tracing_subscriber::registry().with(heard).try_init()?;
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("seconds".to_owned()), &SECONDS)?
        .set_buckets_for_metric(Matcher::Suffix("_commands".to_owned()), &COUNTS)?
        .set_buckets_for_metric(Matcher::Suffix("_events".to_owned()), &COUNTS)?
        .install_recorder()?;
    Ok(Telemetry {
        metrics: Metrics(handle),
        #[cfg(feature = "otlp")]
        spans,
    })
}

/// Something that hears of spans and lines, and of no others than it wants. All of them in one list and none of them absent:
/// then what nobody wants is known to be off before anything is looked at.
type Hearing = Box<dyn Layer<Registry> + Send + Sync>;

/// The log.
fn lines(settings: &LogSettings) -> Result<Hearing, TelemetryError> {
    let wanted = EnvFilter::try_new(&settings.filter)?.and(ours());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    Ok(match settings.format {
        LogFormat::Text => lines.with_ansi(false).with_filter(wanted).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_filter(wanted).boxed(),
    })
}

/// Below `info` only our own crates are heard, whatever the filter says: others log what passes through them, such as frames
/// and headers, and what people write and are is never logged.
fn ours() -> filter::FilterFn {
    let may_speak =
        |metadata: &Metadata<'_>| *metadata.level() <= Level::INFO || metadata.target().starts_with("cocotalk");
    filter::FilterFn::<fn(&Metadata<'_>) -> bool>::new(may_speak).with_max_level_hint(LevelFilter::TRACE)
}

#[cfg(test)]
mod tests {
    use tracing::Subscriber as _;

    use super::*;

    fn most(heard: Vec<Hearing>) -> Option<LevelFilter> {
        tracing_subscriber::registry().with(heard).max_level_hint()
    }

    #[test]
    fn what_nobody_wants_is_known_to_be_off() {
        let lines = |filter: &str| {
            let filter = filter.to_owned();
            lines(&LogSettings {
                filter,
                ..LogSettings::default()
            })
            .expect("it is a filter")
        };
        assert_eq!(most(vec![lines("info")]), Some(LevelFilter::INFO));
        assert_eq!(most(vec![lines("trace")]), Some(LevelFilter::TRACE));
        #[cfg(feature = "otlp")]
        {
            let settings = OtlpSettings {
                endpoint: "http://127.0.0.1:9/v1/traces".to_owned(),
                ..OtlpSettings::default()
            };
            let (spans, _sink) = spans::layer(&settings, "test")
                .expect("it is an address")
                .expect("it is on");
            assert_eq!(most(vec![lines("warn"), spans]), Some(LevelFilter::DEBUG));
        }
    }

    #[test]
    fn what_makes_no_sense_of_the_sending_of_spans_is_named() {
        assert_eq!(OtlpSettings::default().problems(), Vec::<String>::new());
        let settings = OtlpSettings {
            endpoint: "collector:4318".to_owned(),
            one_in: 0,
            ..OtlpSettings::default()
        };
        let problems = settings.problems().join("; ");
        assert!(
            problems.contains("otlp.endpoint") && problems.contains("otlp.one_in"),
            "{problems}"
        );
    }
}
