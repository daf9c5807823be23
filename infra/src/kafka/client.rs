//! What every client of the bus is configured with.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cocotalk_application::error::StoreError;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, ConsumerContext};
use rdkafka::error::KafkaError;

use super::health::Health;
use super::{metrics, record, unavailable};

/// Largest record, bytes: far beyond the largest event, since one that is too large would stop its slice for ever.
pub(super) const RECORD_BYTES: &str = "4194304";
/// Longest time that a consumer's thread sleeps before it looks whether it has to stop.
pub(super) const NAP: Duration = Duration::from_millis(100);

/// What every client has.
pub(super) fn config(settings: &super::Settings, health: &Health) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &settings.brokers)
        .set("client.id", format!("{}-{}", settings.client_id, health.client()))
        // A connection that says nothing is given up and made again; a broker that is back is found within a second.
        .set("socket.timeout.ms", "10000")
        .set("socket.connection.setup.timeout.ms", "5000")
        .set("socket.keepalive.enable", "true")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        .set("topic.metadata.refresh.interval.ms", "60000")
        .set("statistics.interval.ms", "2000")
        .set_log_level(RDKafkaLogLevel::Info);
    config
}

/// What every consumer has on top. The group matters to those alone that join it.
pub(super) fn consumer(settings: &super::Settings, health: &Health) -> ClientConfig {
    let mut config = config(settings, health);
    config
        .set("group.id", &settings.group)
        // Shorter than the time after which a broker that stands still is put out of its cluster (9 s): what it answers then is
        // not for us (see `watch`).
        .set("socket.timeout.ms", "5000")
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        // Retention has passed us by: go on with the oldest there is. What is missing is fetched from the log.
        .set("auto.offset.reset", "earliest")
        .set("allow.auto.create.topics", "false")
        .set("fetch.min.bytes", "1")
        .set("fetch.wait.max.ms", "50")
        .set("fetch.error.backoff.ms", "50")
        .set("queued.min.messages", "10000")
        .set("queued.max.messages.kbytes", "16384")
        // With small queues the default of a second would be a second's stall.
        .set("fetch.queue.backoff.ms", "20");
    config
}

/// A client that only asks, and never fetches.
pub(super) fn asking(settings: &super::Settings, health: &Arc<Health>) -> Result<BaseConsumer<Plain>, StoreError> {
    consumer(settings, health)
        .set("statistics.interval.ms", "0")
        .create_with_context(Plain(Arc::clone(health)))
        .map_err(unavailable)
}

/// What a producer has on top.
pub(super) fn producer(settings: &super::Settings, health: &Health) -> ClientConfig {
    let mut config = config(settings, health);
    config
        .set("message.max.bytes", RECORD_BYTES)
        .set("compression.codec", "lz4");
    config
}

/// A client that only takes note of its health.
pub(super) struct Plain(pub(super) Arc<Health>);

impl ClientContext for Plain {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        self.0.log(level, fac, log_message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.0.figures(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(&error, reason);
    }
}

impl ConsumerContext for Plain {}

/// Records that are none of ours: all are counted, and one a second is told of.
pub(super) struct Skipped {
    client: &'static str,
    told: Option<Instant>,
    untold: u64,
}

impl Skipped {
    pub(super) const fn new(client: &'static str) -> Self {
        Self {
            client,
            told: None,
            untold: 0,
        }
    }

    pub(super) fn skip(&mut self, partition: i32, offset: i64, why: &record::Unreadable) {
        ::metrics::counter!(metrics::SKIPPED, "client" => self.client).increment(1);
        self.untold += 1;
        if self.told.is_none_or(|told| told.elapsed() >= Duration::from_secs(1)) {
            tracing::warn!(
                client = self.client,
                partition,
                offset,
                "skipped {} records that are none of ours, the newest because {why}",
                self.untold
            );
            self.told = Some(Instant::now());
            self.untold = 0;
        }
    }
}
