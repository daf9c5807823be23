//! All partitions of a topic, read without a group: every node reads everything.

use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::error::StoreError;
use cocotalk_domain::stream::Slice;
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaResult;
use rdkafka::message::{BorrowedMessage, Message as _};

use super::client::{self, Plain};
use super::health::Health;
use super::offsets;
use super::watch::{Positions, Watch};
use super::worker::Retired;
use super::{BUS, Settings, record, unavailable};

/// A reader of a topic.
pub(super) struct Reader {
    settings: Arc<Settings>,
    topic: String,
    health: Arc<Health>,
    positions: Arc<Positions>,
    consumer: Retired<BaseConsumer<Plain>>,
}

impl Reader {
    /// A reader that begins at the present ends of the partitions: whatever is published after this was called is read.
    pub(super) async fn at_the_ends(
        settings: &Settings,
        topic: &str,
        health: &Arc<Health>,
    ) -> Result<Self, StoreError> {
        let (settings, topic, health) = (Arc::new(settings.clone()), topic.to_owned(), Arc::clone(health));
        let opening = tokio::task::spawn_blocking(move || {
            let consumer = consumer(&settings, &health)?;
            let ends = offsets::ends(&consumer, &settings, &topic)?;
            let positions = Arc::new(Positions::default());
            for slice in Slice::all() {
                positions.reach(slice, ends[slice.index()]);
            }
            let reader = Self {
                settings,
                topic,
                health,
                positions,
                consumer: Retired::new(consumer),
            };
            reader.assign()?;
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
        let polled = self.consumer.poll(wait);
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

    /// Begins anew where it is, if it was found deaf.
    pub(super) fn listen_again(&mut self) {
        if !self.positions.take_deafness() {
            return;
        }
        let renewed = consumer(&self.settings, &self.health).and_then(|consumer| {
            self.consumer = Retired::new(consumer);
            self.assign()
        });
        if let Err(error) = renewed {
            // The watch will say so again.
            tracing::warn!("a deaf reader could not begin anew: {error}");
        }
    }

    fn assign(&self) -> Result<(), StoreError> {
        let from = |partition| {
            let next = Slice::new(partition).and_then(|slice| self.positions.next(slice));
            next.map_or(Offset::End, Offset::Offset)
        };
        let assigned = offsets::list(&self.topic, from)?;
        self.consumer.assign(&assigned).map_err(unavailable)
    }
}

#[cfg(test)]
impl Reader {
    /// Lets nothing come any more, without a word.
    pub(super) fn turn_deaf(&self) {
        let all = offsets::list(&self.topic, |_| Offset::End).expect("a list of partitions");
        self.consumer.pause(&all).expect("partitions can be paused");
    }
}

fn consumer(settings: &Settings, health: &Arc<Health>) -> Result<BaseConsumer<Plain>, StoreError> {
    client::consumer(settings, health)
        .create_with_context(Plain(Arc::clone(health)))
        .map_err(unavailable)
}
