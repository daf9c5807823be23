//! Reads the ends of all partitions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cocotalk_application::error::StoreError;
use cocotalk_domain::stream::SLICES;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::client::{self, Plain};
use crate::kafka::health::Health;
use crate::kafka::tail::{ROUND, Tail, tail};
use crate::kafka::{BUS, Settings, late, offsets, record, unavailable};

/// Records at the end of a partition that are read at first: a round, and what a usual restart repeats.
const FIRST: i64 = 2 * ROUND as i64;
/// Records at the end of a partition that are read at most. What is further back makes the answer more careful, not wrong.
const MOST: i64 = 8 * ROUND as i64;
/// How long a thread waits for the next record before it looks at the clock.
const NAP: Duration = Duration::from_millis(20);

/// How far each partition is surely complete.
pub(super) async fn read(settings: &Arc<Settings>, health: &Arc<Health>) -> Result<[Option<u64>; SLICES], StoreError> {
    let (settings, health) = (Arc::clone(settings), Arc::clone(health));
    let reading = tokio::task::spawn_blocking(move || blocking(&settings, &health));
    reading.await.map_err(|error| StoreError::unavailable(BUS, error))?
}

fn blocking(settings: &Settings, health: &Arc<Health>) -> Result<[Option<u64>; SLICES], StoreError> {
    let deadline = Instant::now() + settings.request() * 2;
    let consumer: BaseConsumer<Plain> = client::consumer(settings, health)
        .set("enable.partition.eof", "true")
        // Nothing more will come, so no request has to wait for it.
        .set("fetch.wait.max.ms", "5")
        .set("statistics.interval.ms", "0")
        .create_with_context(Plain(Arc::clone(health)))
        .map_err(unavailable)?;
    let topic = &settings.events_topic;
    let low = offsets::beginnings(&consumer, settings, topic)?;
    let high = offsets::ends(&consumer, settings, topic)?;
    health.reached();
    let mut ends: Vec<End> = (0..SLICES).map(|i| End::new(low[i], high[i])).collect();
    while read_back(&consumer, topic, &mut ends, deadline)? {}
    let mut tails = [None; SLICES];
    for (answer, end) in tails.iter_mut().zip(&ends) {
        *answer = tail(&end.seen).map(|tail| tail.complete);
    }
    Ok(tails)
}

/// The end of one partition, read backwards in stretches.
struct End {
    low: i64,
    high: i64,
    /// What is from here on was read or is being read.
    from: i64,
    /// Where what is being read ends.
    until: i64,
    /// The positions of the records in it.
    seen: BTreeSet<u64>,
}

impl End {
    const fn new(low: i64, high: i64) -> Self {
        Self {
            low,
            high,
            from: high,
            until: high,
            seen: BTreeSet::new(),
        }
    }

    /// Goes back another stretch, if what is there may say more than what is known.
    fn go_back(&mut self) -> bool {
        let read = self.high - self.from;
        let is_known = matches!(tail(&self.seen), Some(Tail { is_short: false, .. }));
        if is_known || self.from <= self.low || read >= MOST {
            return false;
        }
        self.until = self.from;
        self.from = self.low.max(self.high - (read * 4).max(FIRST));
        true
    }

    /// Takes a record, and says whether it was the last of the stretch.
    fn take(&mut self, message: &BorrowedMessage<'_>) -> bool {
        // A record that is none of ours has no position.
        if message.offset() < self.until
            && let Ok(position) = record::position(message)
        {
            self.seen.insert(position);
        }
        message.offset() + 1 >= self.until
    }
}

/// Reads another stretch of every partition that has one to be read, and says whether there was any.
fn read_back(
    consumer: &BaseConsumer<Plain>,
    topic: &str,
    ends: &mut [End],
    deadline: Instant,
) -> Result<bool, StoreError> {
    let mut stretches = TopicPartitionList::new();
    let mut unread = vec![false; ends.len()];
    for (i, end) in ends.iter_mut().enumerate() {
        unread[i] = end.go_back();
        if unread[i] {
            stretches
                .add_partition_offset(topic, i as i32, Offset::Offset(end.from))
                .map_err(unavailable)?;
        }
    }
    if !unread.contains(&true) {
        return Ok(false);
    }
    consumer.assign(&stretches).map_err(unavailable)?;
    while unread.contains(&true) {
        if Instant::now() >= deadline {
            return Err(late("reading the ends of the partitions"));
        }
        match consumer.poll(NAP) {
            Some(Ok(message)) => {
                let i = message.partition() as usize;
                unread[i] &= !ends[i].take(&message);
            }
            // Less was there than the offsets let expect: what is not there cannot be read.
            Some(Err(KafkaError::PartitionEOF(partition))) => unread[partition as usize] = false,
            // The driver tries again by itself, until the deadline.
            Some(Err(_)) | None => {}
        }
    }
    Ok(true)
}
