//! Spans of commands, from their arrival to the frame that tells of them, sent to a collector of OpenTelemetry.
//!
//! The spans and lines of the log that tell of a trace (they have the field `trace.id`) are all it takes; no other crate knows
//! of this. What is nested inside a process says little here: many commands go to the log, to the bus and to the read model
//! together. So a span that has a place of its own in a trace (`trace.place`) is told as it is, and a span over many events is
//! told once for each of its lines, as a step that follows from the event's command (`trace.parent`). Places are made of the
//! ids of commands, so processes need not tell each other of them.
//!
//! `tracing-opentelemetry` is not used: it tells of nesting, and knows no place that is not handed to it in code.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use cocotalk_application::trace::TraceParent;
use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, SpanData, SpanEvents, SpanLinks, SpanProcessor as _,
};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, filter};

use super::{Hearing, OtlpSettings, TelemetryError};

/// Spans of one request to the collector.
const BATCH: usize = 512;

/// Where finished spans go. Clones are the same.
#[derive(Clone)]
pub(super) struct Sink {
    processor: Arc<BatchSpanProcessor>,
    timeout: Duration,
}

impl Sink {
    /// Sends what waits, and waits for the answer.
    pub(super) fn finish(&self) {
        if let Err(error) = self.processor.shutdown_with_timeout(self.timeout) {
            tracing::warn!("the last spans may not have been sent: {error}");
        }
    }
}

/// What hears of spans and what sends them; nothing where none are asked for.
pub(super) fn layer(settings: &OtlpSettings, service: &'static str) -> Result<Option<(Hearing, Sink)>, TelemetryError> {
    if !settings.is_on() {
        return Ok(None);
    }
    let timeout = Duration::from_millis(settings.timeout_ms);
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(&settings.endpoint)
        .with_timeout(timeout)
        .build()
        .map_err(|error| TelemetryError::Spans(error.into()))?;
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(settings.queue_spans)
        .with_max_export_batch_size(BATCH.min(settings.queue_spans))
        .with_scheduled_delay(Duration::from_millis(settings.gather_ms))
        .build();
    let mut processor = BatchSpanProcessor::new(exporter, config);
    processor.set_resource(&resource(service));
    let sink = Sink {
        processor: Arc::new(processor),
        timeout,
    };
    let spans = Spans {
        sink: sink.clone(),
        one_in: settings.one_in,
    };
    let traced = filter::filter_fn(|metadata| metadata.fields().field("trace.id").is_some())
        .with_max_level_hint(LevelFilter::DEBUG);
    Ok(Some((spans.with_filter(traced).boxed(), sink)))
}

fn resource(service: &'static str) -> Resource {
    Resource::builder_empty()
        .with_attributes([
            KeyValue::new("service.namespace", "cocotalk"),
            KeyValue::new("service.name", service),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        ])
        .build()
}

struct Spans {
    sink: Sink,
    one_in: u32,
}

/// A span that has not ended.
struct Open {
    name: &'static str,
    started: SystemTime,
    said: Said,
    /// One line for each event of a span over many; a batch has a limit, and so has this.
    lines: Vec<Said>,
}

/// What the fields of a span or of a line say.
#[derive(Default)]
struct Said {
    place: Option<TraceParent>,
    parent: Option<TraceParent>,
    attributes: Vec<KeyValue>,
}

impl Said {
    fn set(&mut self, field: &Field, value: impl Into<Value>) {
        match field.name() {
            "trace.id" | "message" => {}
            name => self.attributes.push(KeyValue::new(name, value)),
        }
    }

    fn set_text(&mut self, field: &Field, text: Cow<'_, str>) {
        match field.name() {
            "trace.place" => self.place = text.parse().ok(),
            "trace.parent" => self.parent = text.parse().ok(),
            _ => self.set(field, text.into_owned()),
        }
    }
}

impl Visit for Said {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, value as i64);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.set_text(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.set_text(field, format!("{value:?}").into());
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut said = Said::default();
        attributes.record(&mut said);
        span.extensions_mut().insert(Open {
            name: span.name(),
            started: SystemTime::now(),
            said,
            lines: Vec::new(),
        });
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            values.record(&mut open.said);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let Some(span) = context.event_span(event) else { return };
        if let Some(open) = span.extensions_mut().get_mut::<Open>() {
            let mut line = Said::default();
            event.record(&mut line);
            open.lines.push(line);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let Some(open) = span.extensions_mut().remove::<Open>() else {
            return;
        };
        let now = SystemTime::now();
        for told in open.told(now).filter(|told| self.is_kept(told)) {
            self.sink.processor.on_end(told.data);
        }
    }
}

impl Spans {
    /// Whether a trace is told: one that was brought along as its sender says, another one if its turn comes. Every process
    /// comes to the same answer.
    fn is_kept(&self, told: &Told) -> bool {
        let place = told.command;
        let is_own = place.trace_id().as_u128() as u64 == place.span_id();
        place.is_sampled() && (!is_own || place.span_id().is_multiple_of(u64::from(self.one_in)))
    }
}

/// A span as it is sent.
struct Told {
    /// The place of the command that it is, or that it follows from.
    command: TraceParent,
    data: SpanData,
}

impl Open {
    /// The span itself if it has a place in a trace, and one for each of its lines.
    fn told(self, now: SystemTime) -> impl Iterator<Item = Told> {
        let Self {
            name,
            started,
            said,
            lines,
        } = self;
        let shared = said.attributes.clone();
        let own = said.place.map(|place| Told {
            command: place,
            data: data(name, [started, now], place, said.parent, said.attributes),
        });
        let lines = lines.into_iter().filter_map(move |line| {
            let command = line.parent?;
            let place = command.child(rand::random());
            let attributes = shared.iter().cloned().chain(line.attributes).collect();
            Some(Told {
                command,
                data: data(name, [started, now], place, line.parent, attributes),
            })
        });
        own.into_iter().chain(lines)
    }
}

fn data(
    name: &'static str,
    [start_time, end_time]: [SystemTime; 2],
    place: TraceParent,
    parent: Option<TraceParent>,
    attributes: Vec<KeyValue>,
) -> SpanData {
    SpanData {
        span_context: SpanContext::new(
            TraceId::from(place.trace_id().as_u128()),
            SpanId::from(place.span_id()),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: parent.map_or(SpanId::INVALID, |parent| SpanId::from(parent.span_id())),
        parent_span_is_remote: parent.is_some(),
        span_kind: kind(name),
        name: name.into(),
        start_time,
        end_time,
        attributes,
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: Status::Unset,
        instrumentation_scope: InstrumentationScope::builder("cocotalk").build(),
    }
}

fn kind(name: &str) -> SpanKind {
    match name {
        "command" => SpanKind::Server,
        "relay.publish" => SpanKind::Producer,
        "projection.apply" | "live.tell" => SpanKind::Consumer,
        _ => SpanKind::Internal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const COMMAND: &str = "00-0af7651916cd43dd8448eb211c80319c-800000000000000a-01";
    const OWN: &str = "00-0198c0de7a1c7000800000000000000a-800000000000000a-01";

    fn open(place: Option<&str>, parent: Option<&str>, lines: &[&str]) -> Open {
        let at = |place: &str| place.parse().expect("it is one");
        let line = |parent: &&str| Said {
            parent: Some(at(parent)),
            attributes: vec![KeyValue::new("event.sequence", 7)],
            ..Said::default()
        };
        Open {
            name: "relay.publish",
            started: SystemTime::UNIX_EPOCH,
            said: Said {
                place: place.map(at),
                parent: parent.map(at),
                attributes: vec![KeyValue::new("events", lines.len() as i64)],
            },
            lines: lines.iter().map(line).collect(),
        }
    }

    #[test]
    fn a_command_is_a_step_that_its_caller_causes() {
        let told: Vec<_> = open(Some(COMMAND), Some(CLIENT), &[])
            .told(SystemTime::UNIX_EPOCH)
            .collect();
        assert_eq!(told.len(), 1);
        let data = &told[0].data;
        assert_eq!(
            data.span_context.trace_id().to_string(),
            "0af7651916cd43dd8448eb211c80319c"
        );
        assert_eq!(data.span_context.span_id().to_string(), "800000000000000a");
        assert_eq!(data.parent_span_id.to_string(), "b7ad6b7169203331");
    }

    #[test]
    fn many_events_together_are_one_step_each_that_its_command_causes() {
        let told: Vec<_> = open(None, None, &[COMMAND, OWN]).told(SystemTime::UNIX_EPOCH).collect();
        let of: Vec<_> = told
            .iter()
            .map(|told| told.data.span_context.trace_id().to_string())
            .collect();
        assert_eq!(
            of,
            ["0af7651916cd43dd8448eb211c80319c", "0198c0de7a1c7000800000000000000a"]
        );
        for told in &told {
            assert_eq!(told.data.parent_span_id.to_string(), "800000000000000a");
            assert_eq!(
                told.data.attributes,
                [KeyValue::new("events", 2), KeyValue::new("event.sequence", 7)]
            );
        }
    }

    #[test]
    fn an_own_trace_is_kept_by_turns_and_a_brought_one_as_its_sender_says() {
        let settings = OtlpSettings {
            endpoint: "http://127.0.0.1:9/v1/traces".to_owned(),
            ..OtlpSettings::default()
        };
        let (_, sink) = layer(&settings, "test").expect("it is an address").expect("it is on");
        let kept = |one_in, place| {
            let spans = Spans {
                sink: sink.clone(),
                one_in,
            };
            let mut told = open(Some(place), None, &[]).told(SystemTime::UNIX_EPOCH);
            spans.is_kept(&told.next().expect("it has a place"))
        };
        assert!(kept(1, OWN) && kept(2, OWN) && !kept(4, OWN));
        assert!(kept(4, COMMAND));
        assert!(!kept(1, "00-0af7651916cd43dd8448eb211c80319c-800000000000000a-00"));
    }
}
