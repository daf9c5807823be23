//! Everything that is published from now on, for the live sockets of this node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::port::live::{Committed, EventFeed};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Message as _};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{self, NAP, Plain, Skipped};
use super::health::Health;
use super::worker::Worker;
use super::{BUS, Settings, metrics, offsets, record, unavailable};
use crate::live;

/// Events told together at most.
const TOLD_AT_ONCE: usize = 512;
/// When so many tellings wait for the slowest listener, events are gathered for a moment before they are told: what is lost
/// when too many wait is dear to fetch again, and events come one by one.
const BEHIND: usize = 64;
const GATHER: Duration = Duration::from_millis(5);

/// The events of the bus, read by every node for itself: no group, all partitions.
///
/// It begins at the ends of the partitions as they are when it is opened, and opening it comes before anybody asks for the
/// heads of the log: whatever is committed after that is told, and some of what was committed before. After a fault it goes
/// on where it was; where retention has passed it by, it goes on with the oldest there is, and the holes are for the listener
/// to fetch from the log.
pub struct KafkaFeed {
    commits: broadcast::Sender<Committed>,
    health: Arc<Health>,
    worker: Worker,
}

impl KafkaFeed {
    /// Reads from the present ends of the partitions on, until `stop`. Among `tasks` is one that lasts as long as its thread.
    ///
    /// # Errors
    /// `Unavailable` where the bus cannot be reached, `Corrupt` where the topic is not there.
    pub async fn open(settings: &Settings, tasks: &TaskTracker, stop: CancellationToken) -> Result<Self, StoreError> {
        metrics::describe();
        let health = Arc::new(Health::new("feed"));
        let consumer = at_the_ends(settings, &settings.events_topic, &health).await?;
        let commits = live::commits();
        let (told, watched) = (commits.clone(), Arc::clone(&health));
        let run = move |stop: &CancellationToken| follow(&consumer, &told, &watched, stop);
        let worker = Worker::start("kafka-feed", tasks, &stop, run)?;
        Ok(Self {
            commits,
            health,
            worker,
        })
    }

    /// Why nothing is told, if the bus cannot be reached now.
    pub fn fault(&self) -> Option<String> {
        self.worker.fault().or_else(|| self.health.fault())
    }
}

impl EventFeed for KafkaFeed {
    fn subscribe(&self) -> broadcast::Receiver<Committed> {
        self.commits.subscribe()
    }
}

/// A consumer of all partitions of a topic that begins at their present ends.
pub(super) async fn at_the_ends(
    settings: &Settings,
    topic: &str,
    health: &Arc<Health>,
) -> Result<BaseConsumer<Plain>, StoreError> {
    let (settings, topic, health) = (settings.clone(), topic.to_owned(), Arc::clone(health));
    let opening = tokio::task::spawn_blocking(move || {
        let consumer: BaseConsumer<Plain> = client::consumer(&settings, &health)
            .create_with_context(Plain(Arc::clone(&health)))
            .map_err(unavailable)?;
        let ends = offsets::ends(&consumer, &settings, &topic)?;
        let assigned = offsets::list(&topic, |partition| Offset::Offset(ends[partition]))?;
        consumer.assign(&assigned).map_err(unavailable)?;
        Ok(consumer)
    });
    opening.await.map_err(|error| StoreError::unavailable(BUS, error))?
}

fn follow(
    consumer: &BaseConsumer<Plain>,
    commits: &broadcast::Sender<Committed>,
    health: &Health,
    stop: &CancellationToken,
) {
    let mut skipped = Skipped::new(health.client());
    while !stop.is_cancelled() {
        let wait = if commits.len() < BEHIND { Duration::ZERO } else { GATHER };
        let events = gather(consumer, wait, health, &mut skipped);
        if !events.is_empty() {
            // An error means that nobody listens.
            let _nobody = commits.send(Committed::from(events));
        }
    }
}

/// Waits for something to tell, and takes what is there already, or comes within `wait` of it.
fn gather(
    consumer: &BaseConsumer<Plain>,
    wait: Duration,
    health: &Health,
    skipped: &mut Skipped,
) -> Vec<Arc<RecordedEvent>> {
    let mut events = Vec::new();
    let mut polled = consumer.poll(NAP);
    let until = Instant::now() + wait;
    loop {
        match polled {
            Some(Ok(message)) => {
                health.reached();
                events.extend(event(&message, skipped));
            }
            // The driver goes on by itself.
            Some(Err(error)) => tracing::debug!("nothing was consumed: {error}"),
            None if Instant::now() >= until => return events,
            None => {}
        }
        if events.len() >= TOLD_AT_ONCE {
            return events;
        }
        polled = consumer.poll(until.saturating_duration_since(Instant::now()));
    }
}

fn event(message: &BorrowedMessage<'_>, skipped: &mut Skipped) -> Option<Arc<RecordedEvent>> {
    match record::event(message) {
        Ok(event) => Some(Arc::new(event)),
        Err(why) => {
            skipped.skip(message.partition(), message.offset(), &why);
            None
        }
    }
}
