//! Who is typing, from node to node.

use std::sync::Arc;

use cocotalk_application::error::StoreError;
use cocotalk_application::port::live::{Ephemeral, Typing};
use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::stream::StreamId;
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message as _};
use rdkafka::producer::{BaseRecord, ProducerContext, ThreadedProducer};
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use super::client::{self, NAP, Skipped};
use super::health::Health;
use super::reader::Reader;
use super::record::Unreadable;
use super::worker::{Retired, Worker};
use super::{Settings, metrics, unavailable};
use crate::clock::now_us;
use crate::live::LocalEphemeral;

/// A signal that took longer than this is of no use any more.
const OLD_MS: i64 = 10_000;

/// Signals to the listeners of all nodes.
///
/// A signal reaches the listeners of its own node directly and those of the others over the bus, at most once, or never:
/// when the bus cannot take it at once it is dropped, and so is one that arrives after more than ten seconds.
pub struct KafkaEphemeral {
    local: Arc<LocalEphemeral>,
    producer: Retired<ThreadedProducer<Lost>>,
    topic: String,
    node: Uuid,
    health: Arc<Health>,
    worker: Worker,
    _watch: Worker,
}

/// A signal on the bus. The field `type` says which, so that a later release can add others.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Signal {
    Typing {
        /// Who sends it; it has told its own listeners already.
        node: Uuid,
        room_id: RoomId,
        user_id: UserId,
    },
}

impl KafkaEphemeral {
    /// Reads what others tell from now on, until `stop`. Among `tasks` is one that lasts as long as its thread.
    ///
    /// # Errors
    /// `Unavailable` where the bus cannot be reached, `Corrupt` where the topic is not there.
    pub async fn open(settings: &Settings, tasks: &TaskTracker, stop: CancellationToken) -> Result<Self, StoreError> {
        metrics::describe();
        let health = Arc::new(Health::new("ephemeral"));
        let reader = Reader::at_the_ends(settings, &settings.ephemeral_topic, &health).await?;
        let watch = reader.watch();
        let producer = client::producer(settings, &health)
            .set("acks", "1")
            // A few milliseconds make batches of what many people type, and nobody sees them.
            .set("linger.ms", "5")
            .set("queue.buffering.max.messages", "10000")
            .set("message.timeout.ms", "5000")
            // Better lost than told twice.
            .set("message.send.max.retries", "0")
            .create_with_context(Lost(Arc::clone(&health)))
            .map_err(unavailable)?;
        let (local, node) = (Arc::new(LocalEphemeral::default()), Uuid::from_u128(rand::random()));
        let listener = Listener {
            local: Arc::clone(&local),
            node,
            skipped: Skipped::new(health.client()),
        };
        let run = move |stop: &CancellationToken| listener.listen(reader, stop);
        let worker = Worker::start("kafka-ephemeral", tasks, &stop, run)?;
        let watch = Worker::start("kafka-ephemeral-watch", tasks, &stop, move |stop| watch.keep(stop))?;
        Ok(Self {
            local,
            producer: Retired::new(producer),
            topic: settings.ephemeral_topic.clone(),
            node,
            health,
            worker,
            _watch: watch,
        })
    }

    /// Why nothing is told to other nodes, if the bus cannot be reached now.
    pub fn fault(&self) -> Option<String> {
        self.worker.fault().or_else(|| self.health.fault())
    }
}

impl Ephemeral for KafkaEphemeral {
    fn typing(&self, typing: Typing) {
        self.local.typing(typing);
        let Typing { room_id, user_id } = typing;
        let signal = Signal::Typing {
            node: self.node,
            room_id,
            user_id,
        };
        let value = serde_json::to_vec(&signal).expect("ids are JSON");
        let partition = StreamId::Room(room_id).slice().index() as i32;
        let record = BaseRecord::<(), _>::to(&self.topic)
            .partition(partition)
            .payload(&value);
        if self.producer.send(record).is_err() {
            ::metrics::counter!(metrics::DROPPED_SIGNALS, "reason" => "full").increment(1);
        }
    }

    fn subscribe(&self) -> broadcast::Receiver<Typing> {
        self.local.subscribe()
    }
}

/// What hears the signals of other nodes.
struct Listener {
    local: Arc<LocalEphemeral>,
    node: Uuid,
    skipped: Skipped,
}

impl Listener {
    fn listen(mut self, mut reader: Reader, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            if let Some(Ok(message)) = reader.poll(NAP) {
                self.hear(&message);
            }
            reader.renew(stop);
        }
    }

    fn hear(&mut self, message: &BorrowedMessage<'_>) {
        let Ok(Signal::Typing { node, room_id, user_id }) =
            serde_json::from_slice(message.payload().unwrap_or_default())
        else {
            self.skipped
                .skip(message.partition(), message.offset(), &Unreadable::Value);
            return;
        };
        let age_ms = message
            .timestamp()
            .to_millis()
            .map_or(0, |sent| now_us() / 1_000 - sent);
        if age_ms > OLD_MS {
            ::metrics::counter!(metrics::DROPPED_SIGNALS, "reason" => "old").increment(1);
        } else if node != self.node {
            self.local.typing(Typing { room_id, user_id });
        }
    }
}

/// Counts the signals that the bus did not take.
struct Lost(Arc<Health>);

impl ClientContext for Lost {
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

impl ProducerContext for Lost {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): Self::DeliveryOpaque) {
        match result {
            Ok(_) => self.0.reached(),
            Err(_) => ::metrics::counter!(metrics::DELIVERY_ERRORS, "topic" => "ephemeral").increment(1),
        }
    }
}
