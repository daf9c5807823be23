//! All partitions of a topic, read without a group: every node reads everything.

use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::error::{StoreError, chain};
use cocotalk_domain::stream::Slice;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{ClientContext, Offset};
use tokio_util::sync::CancellationToken;

use super::client;
use super::health::Health;
use super::offsets;
use super::watch::{self, Positions, Watch};
use super::worker::Retired;
use super::{BUS, Settings, record, unavailable};

/// A reader of a topic.
pub(super) struct Reader {
    settings: Arc<Settings>,
    topic: String,
    health: Arc<Health>,
    positions: Arc<Positions>,
    /// None while the bus cannot be reached.
    consumer: Option<Retired<BaseConsumer<Reading>>>,
}

/// What the driver calls back.
pub(super) struct Reading {
    health: Arc<Health>,
    positions: Arc<Positions>,
}

impl ClientContext for Reading {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, log_message: &str) {
        self.health.log(level, fac, log_message);
    }

    fn stats_raw(&self, statistics: &[u8]) {
        self.health.figures(statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if self.health.error(&error, reason) {
            self.positions.renew();
        }
    }
}

impl ConsumerContext for Reading {}

impl Reader {
    /// A reader that begins at the present ends of the partitions: whatever is published after this was called is read.
    pub(super) async fn at_the_ends(
        settings: &Settings,
        topic: &str,
        health: &Arc<Health>,
    ) -> Result<Self, StoreError> {
        let (settings, topic, health) = (Arc::new(settings.clone()), topic.to_owned(), Arc::clone(health));
        let opening = tokio::task::spawn_blocking(move || {
            let ends = offsets::ends(&client::asking(&settings, &health)?, &settings, &topic)?;
            let positions = Arc::new(Positions::default());
            for slice in Slice::all() {
                positions.reach(slice, ends[slice.index()]);
            }
            let mut reader = Self {
                settings,
                topic,
                health,
                positions,
                consumer: None,
            };
            reader.begin()?;
            Ok(reader)
        });
        opening.await.map_err(|error| StoreError::unavailable(BUS, error))?
    }

    /// What has to be kept beside the reader.
    pub(super) fn watch(&self) -> Watch {
        Watch {
            settings: Arc::clone(&self.settings),
            topic: self.topic.clone(),
            health: Arc::clone(&self.health),
            positions: Arc::clone(&self.positions),
        }
    }

    /// The next record, if one comes in time.
    pub(super) fn poll(&self, wait: Duration) -> Option<KafkaResult<BorrowedMessage<'_>>> {
        let polled = self.consumer.as_ref()?.poll(wait);
        match &polled {
            Some(Ok(message)) => {
                self.health.reached();
                if let Some(slice) = record::slice_of(message.partition()) {
                    self.positions.reach(slice, message.offset() + 1);
                }
            }
            // The driver goes on by itself.
            Some(Err(error)) => tracing::debug!("nothing was read: {error}"),
            None => {}
        }
        polled
    }

    /// Begins anew where it is, if it has to; waits for the bus if need be, until `stop`.
    pub(super) fn renew(&mut self, stop: &CancellationToken) {
        if !self.positions.take_renewal() {
            return;
        }
        self.consumer = None;
        while watch::until_led(&self.settings, &self.topic, &self.health, stop) {
            // What the client that is gone had to say is said.
            let _old = self.positions.take_renewal();
            match self.begin() {
                Ok(()) => return,
                Err(error) => self.health.fail(format!("kafka: cannot be read: {}", chain(&error))),
            }
        }
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        let context = Reading {
            health: Arc::clone(&self.health),
            positions: Arc::clone(&self.positions),
        };
        let consumer: BaseConsumer<Reading> = client::consumer(&self.settings, &self.health)
            .create_with_context(context)
            .map_err(unavailable)?;
        let from = |partition| {
            let next = Slice::new(partition).and_then(|slice| self.positions.next(slice));
            next.map_or(Offset::End, Offset::Offset)
        };
        let assigned = offsets::list(&self.topic, from)?;
        consumer.assign(&assigned).map_err(unavailable)?;
        self.consumer = Some(Retired::new(consumer));
        Ok(())
    }
}

#[cfg(test)]
impl Reader {
    /// Lets nothing come any more, without a word.
    pub(super) fn turn_deaf(&self) {
        let all = offsets::list(&self.topic, |_| Offset::End).expect("a list of partitions");
        let consumer = self.consumer.as_ref().expect("it reads");
        consumer.pause(&all).expect("partitions can be paused");
    }
}
