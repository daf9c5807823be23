//! What the relay publishes to.

mod call;
mod tails;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::outbox::LogRecord;
use cocotalk_application::port::publisher::Publisher;
use cocotalk_domain::stream::SLICES;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _, PurgeConfig, ThreadedProducer};
use tokio::time::Instant;

use self::call::{Call, Deliveries};
use super::health::Health;
use super::record::{self, Encoded};
use super::tail::ROUND;
use super::worker::Retired;
use super::{Settings, client, late, metrics, unavailable};

/// How much longer than the driver itself a call waits for it.
const GRACE: Duration = Duration::from_secs(2);
/// Records that are handed to the driver without a pause for the other tasks of the thread.
const CHUNK: usize = 64;

/// The topic of events, to publish to.
///
/// A call that fails takes everything that is under way with it, also what other calls have under way: nothing is sent any
/// more when `publish` returns with an error, so that what is published again cannot be overtaken. What was sent already may
/// still arrive, even later; the module `tail` says how far that goes.
pub struct KafkaPublisher {
    settings: Arc<Settings>,
    health: Arc<Health>,
    current: Mutex<Arc<Producer>>,
}

/// One producer of the driver, until a call fails.
struct Producer {
    driver: Retired<ThreadedProducer<Deliveries>>,
    /// How often everything under way was given up. Held while records are handed to the driver and while they are purged,
    /// so that a call is purged whole.
    purges: Arc<tokio::sync::Mutex<u64>>,
}

impl KafkaPublisher {
    /// A publisher that connects by itself.
    ///
    /// # Errors
    /// Where the driver does not take the settings.
    pub fn open(settings: &Settings) -> Result<Self, StoreError> {
        metrics::describe();
        let health = Arc::new(Health::new("publisher"));
        let producer = Producer::new(settings, &health)?;
        Ok(Self {
            settings: Arc::new(settings.clone()),
            health,
            current: Mutex::new(Arc::new(producer)),
        })
    }

    /// Why nothing can be published, if the bus cannot be reached now.
    pub fn fault(&self) -> Option<String> {
        self.health.fault()
    }

    fn current(&self) -> Arc<Producer> {
        Arc::clone(&self.current.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Publishes at most [`ROUND`] records of each slice.
    async fn publish_round(&self, records: Vec<LogRecord>) -> Result<(), StoreError> {
        let encoded: VecDeque<Encoded> = records.iter().map(record::encode).collect::<Result<_, _>>()?;
        let count = encoded.len() as u64;
        let producer = self.current();
        let call = Arc::new(Call::default());
        let deadline = Instant::now() + self.settings.delivery() + GRACE;
        let published = async {
            producer.enqueue(&self.settings.events_topic, encoded, &call).await?;
            call.delivered().await
        };
        let outcome = match tokio::time::timeout_at(deadline, published).await {
            Ok(outcome) => outcome.map_err(unavailable),
            Err(_) => Err(late("publishing")),
        };
        match outcome {
            Ok(()) => ::metrics::counter!(metrics::PUBLISHED).increment(count),
            Err(_) => self.give_up(&producer, &call).await,
        }
        outcome
    }

    /// Sees to it that nothing of a call that has failed is sent any more. What comes next is published by another producer:
    /// this one may never get over it, be it that it says so or that it has lost sight of a leader (see [`watch`](super::watch)).
    async fn give_up(&self, producer: &Arc<Producer>, call: &Call) {
        producer.purge().await;
        if tokio::time::timeout(GRACE, call.settled()).await.is_err() {
            tracing::warn!("kafka does not say what became of records that were given up");
        }
        if let Some((code, why)) = producer.driver.client().fatal_error() {
            tracing::warn!("the producer cannot go on: {code}: {why}");
        }
        match Producer::new(&self.settings, &self.health) {
            Ok(new) => {
                let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
                // Of several calls that failed together the first one has done it.
                if Arc::ptr_eq(&current, producer) {
                    *current = Arc::new(new);
                }
            }
            Err(error) => tracing::error!("no producer can be made: {error}"),
        }
    }
}

#[async_trait]
impl Publisher for KafkaPublisher {
    async fn publish(&self, records: Vec<LogRecord>) -> Result<(), StoreError> {
        let started = Instant::now();
        for round in rounds(records) {
            self.publish_round(round).await?;
        }
        ::metrics::histogram!(metrics::PUBLISH_SECONDS).record(started.elapsed().as_secs_f64());
        Ok(())
    }

    async fn tails(&self) -> Result<[Option<u64>; SLICES], StoreError> {
        tails::read(&self.settings, &self.health).await
    }
}

impl Producer {
    fn new(settings: &Settings, health: &Arc<Health>) -> Result<Self, StoreError> {
        let driver: ThreadedProducer<Deliveries> = client::producer(settings, health)
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("batch.size", "1000000")
            .set("batch.num.messages", "10000")
            .set("queue.buffering.max.kbytes", settings.publish_kib.to_string())
            // Bounded by bytes alone.
            .set("queue.buffering.max.messages", "0")
            .set("delivery.timeout.ms", settings.delivery_ms.to_string())
            .create_with_context(Deliveries::new(health))
            .map_err(unavailable)?;
        Ok(Self {
            driver: Retired::new(driver),
            purges: Arc::default(),
        })
    }

    /// Hands records to the driver, in order. Waits while its queue is full.
    async fn enqueue(&self, topic: &str, mut records: VecDeque<Encoded>, call: &Arc<Call>) -> Result<(), KafkaError> {
        let purges = *self.purges.lock().await;
        while !records.is_empty() {
            // Whatever leaves the queue from here on is noticed.
            let room = self.driver.context().room();
            let is_full = {
                let now = self.purges.lock().await;
                if *now != purges {
                    return Err(KafkaError::MessageProduction(RDKafkaErrorCode::PurgeQueue));
                }
                self.hand_over(topic, &mut records, call)?
            };
            if is_full {
                room.await;
            } else {
                tokio::task::yield_now().await;
            }
            call.check()?;
        }
        Ok(())
    }

    /// Hands over the first records, and says whether the driver's queue is full.
    fn hand_over(&self, topic: &str, records: &mut VecDeque<Encoded>, call: &Arc<Call>) -> Result<bool, KafkaError> {
        for _ in 0..CHUNK {
            let Some(encoded) = records.pop_front() else {
                return Ok(false);
            };
            call.begins();
            let record = BaseRecord::with_opaque_to(topic, Arc::clone(call))
                .partition(encoded.partition)
                .key(&encoded.key)
                .payload(&encoded.value)
                .headers(encoded.headers);
            let Err((error, record)) = self.driver.send(record) else {
                continue;
            };
            call.never_began();
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error);
            }
            let headers = record
                .headers
                .expect("a record that was not taken comes back as it was");
            records.push_front(Encoded { headers, ..encoded });
            return Ok(true);
        }
        Ok(false)
    }

    /// Gives up everything that is under way.
    async fn purge(self: &Arc<Self>) {
        let producer = Arc::clone(self);
        // The driver asks each of its threads, and one of them may be looking up a name.
        let purged = tokio::task::spawn_blocking(move || {
            let mut purges = producer.purges.blocking_lock();
            *purges += 1;
            producer.driver.purge(PurgeConfig::default().queue().inflight());
        });
        if let Err(error) = purged.await {
            tracing::error!("what is under way could not be given up: {error}");
        }
    }
}

/// The records in rounds: each has at most [`ROUND`] of a slice, and a slice's come in order.
fn rounds(records: Vec<LogRecord>) -> Vec<Vec<LogRecord>> {
    let mut counts = [0; SLICES];
    let mut rounds: Vec<Vec<LogRecord>> = Vec::new();
    for record in records {
        let count = &mut counts[record.slice.index()];
        let round = *count / ROUND;
        *count += 1;
        if rounds.len() <= round {
            rounds.resize_with(round + 1, Vec::new);
        }
        rounds[round].push(record);
    }
    rounds
}
