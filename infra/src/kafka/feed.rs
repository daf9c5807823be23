//! Everything that is published from now on, for the live sockets of this node.

use std::sync::Arc;
use std::time::{Duration, Instant};

use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::RecordedEvent;
use cocotalk_application::port::live::{Committed, EventFeed};
use rdkafka::message::{BorrowedMessage, Message as _};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::client::{NAP, Skipped};
use super::health::Health;
use super::reader::Reader;
use super::worker::Worker;
use super::{Settings, metrics, record};
use crate::live;

/// What the reader is called.
const CLIENT: &str = "feed";
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
    _watch: Worker,
}

impl KafkaFeed {
    /// Reads from the present ends of the partitions on, until `stop`. Among `tasks` is one that lasts as long as its thread.
    ///
    /// # Errors
    /// `Unavailable` where the bus cannot be reached, `Corrupt` where the topic is not there.
    pub async fn open(settings: &Settings, tasks: &TaskTracker, stop: CancellationToken) -> Result<Self, StoreError> {
        metrics::describe();
        let health = Arc::new(Health::new(CLIENT));
        let reader = Reader::at_the_ends(settings, &settings.events_topic, &health).await?;
        let watch = reader.watch();
        let commits = live::commits();
        let told = commits.clone();
        let run = move |stop: &CancellationToken| follow(reader, &told, stop);
        let worker = Worker::start("kafka-feed", tasks, &stop, run)?;
        let watch = Worker::start("kafka-feed-watch", tasks, &stop, move |stop| watch.keep(stop))?;
        Ok(Self {
            commits,
            health,
            worker,
            _watch: watch,
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

fn follow(mut reader: Reader, commits: &broadcast::Sender<Committed>, stop: &CancellationToken) {
    let mut skipped = Skipped::new(CLIENT);
    while !stop.is_cancelled() {
        let wait = if commits.len() < BEHIND { Duration::ZERO } else { GATHER };
        let events = gather(&reader, wait, &mut skipped);
        if !events.is_empty() {
            // An error means that nobody listens.
            let _nobody = commits.send(Committed::from(events));
        }
        reader.renew(stop);
    }
}

/// Waits for something to tell, and takes what is there already, or comes within `wait` of it.
fn gather(reader: &Reader, wait: Duration, skipped: &mut Skipped) -> Vec<Arc<RecordedEvent>> {
    let mut events = Vec::new();
    let mut polled = reader.poll(NAP);
    let until = Instant::now() + wait;
    loop {
        match polled {
            Some(Ok(message)) => events.extend(event(&message, skipped)),
            None if Instant::now() >= until => return events,
            Some(Err(_)) | None => {}
        }
        if events.len() >= TOLD_AT_ONCE {
            return events;
        }
        polled = reader.poll(until.saturating_duration_since(Instant::now()));
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

#[cfg(test)]
mod tests;
