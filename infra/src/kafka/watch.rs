//! When something that reads for a long time has to begin anew, with another client of the driver.
//!
//! A broker that is starting answers that it knows no leader yet. `librdkafka` (2.5 to 2.12 at least) counts the partitions of
//! such an answer, passes over those without a leader, and then takes for the rest whatever lies in its memory: an epoch, a
//! partition that there is not. So a partition may go deaf, for ever and without an error, since whatever is true seems older
//! than that epoch; and the process may even die. (Its issue 5430 is about what follows on that in a producer.) Hence:
//!
//! - When no broker can be reached any more, a reader drops its client before there is anything to fetch from, and makes
//!   another one when every partition has a leader that answers.
//! - A partition that has records, of which nothing is read for a while, makes its reader begin anew where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use cocotalk_application::error::{StoreError, chain};
use cocotalk_domain::stream::{SLICES, Slice};
use rdkafka::Offset;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio_util::sync::CancellationToken;

use super::client::{self, Plain};
use super::health::Health;
use super::offsets::{self, Offsets};
use super::{Settings, metrics, unavailable, worker};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Between two questions whether the bus is back.
const RETRY: Duration = Duration::from_millis(200);
/// How long a partition may deliver nothing that is there: longer than it takes to find a leader and to fetch.
const PATIENCE: Duration = Duration::from_secs(4);
/// The position of a partition that is not read.
const OFF: i64 = -1;
/// The position of a partition of which nothing was read yet, and whose beginning only the group knows.
const BEGINS: i64 = -2;
/// Events that the watching client may have gathered between two looks.
const GATHERED: usize = 64;

/// How far each partition has been read; shared by the reader and its watch.
pub(super) struct Positions {
    next: [AtomicI64; SLICES],
    paused: [AtomicBool; SLICES],
    /// Whether the reader cannot read at the moment, for reasons of its own.
    is_busy: AtomicBool,
    is_to_renew: AtomicBool,
}

impl Default for Positions {
    fn default() -> Self {
        Self {
            next: [const { AtomicI64::new(OFF) }; SLICES],
            paused: [const { AtomicBool::new(false) }; SLICES],
            is_busy: AtomicBool::new(false),
            is_to_renew: AtomicBool::new(false),
        }
    }
}

impl Positions {
    /// The partition is read from where the group knows.
    pub(super) fn begin(&self, slice: Slice) {
        self.paused[slice.index()].store(false, Ordering::Release);
        self.next[slice.index()].store(BEGINS, Ordering::Release);
    }

    /// Everything before this offset was read.
    pub(super) fn reach(&self, slice: Slice, next: i64) {
        self.next[slice.index()].store(next, Ordering::Release);
    }

    /// The partition is not read any more.
    pub(super) fn end(&self, slice: Slice) {
        self.next[slice.index()].store(OFF, Ordering::Release);
    }

    /// The partition is not read for now, or again.
    pub(super) fn pause(&self, slice: Slice, is_paused: bool) {
        self.paused[slice.index()].store(is_paused, Ordering::Release);
    }

    /// Does something during which nothing can be read.
    pub(super) fn while_busy<T>(&self, what: impl FnOnce() -> T) -> T {
        self.is_busy.store(true, Ordering::Release);
        let done = what();
        self.is_busy.store(false, Ordering::Release);
        done
    }

    /// Where the partition goes on, if that is known.
    pub(super) fn next(&self, slice: Slice) -> Option<i64> {
        let next = self.next[slice.index()].load(Ordering::Acquire);
        (next >= 0).then_some(next)
    }

    /// The reader has to begin anew.
    pub(super) fn renew(&self) {
        self.is_to_renew.store(true, Ordering::Release);
    }

    /// Whether the reader has to begin anew; true once.
    pub(super) fn take_renewal(&self) -> bool {
        self.is_to_renew.load(Ordering::Acquire) && self.is_to_renew.swap(false, Ordering::AcqRel)
    }

    /// Whether anything is read from a place that is not known.
    fn has_unknown(&self) -> bool {
        self.next.iter().any(|next| next.load(Ordering::Acquire) == BEGINS)
    }

    /// The beginning of a partition has become known, unless something was read meanwhile.
    fn learn(&self, slice: Slice, next: i64) {
        // If something was read, that is better.
        let _better = self.next[slice.index()].compare_exchange(BEGINS, next, Ordering::AcqRel, Ordering::Acquire);
    }

    /// What is read now, and how far it is.
    fn read(&self) -> [Option<i64>; SLICES] {
        let mut read = [None; SLICES];
        if self.is_busy.load(Ordering::Acquire) {
            return read;
        }
        for slice in Slice::all().filter(|slice| !self.paused[slice.index()].load(Ordering::Acquire)) {
            read[slice.index()] = self.next(slice);
        }
        read
    }
}

/// What is watched: the partitions of a topic, as one reader reads them.
pub(super) struct Watch {
    pub(super) settings: Arc<Settings>,
    pub(super) topic: String,
    pub(super) health: Arc<Health>,
    pub(super) positions: Arc<Positions>,
}

impl Watch {
    /// Looks again and again, until `stop`.
    pub(super) fn keep(&self, stop: &CancellationToken) {
        let (mut client, mut silence) = (None, Silence::default());
        while worker::wait(LOOK, stop) {
            // While the bus cannot be asked, nothing is known of any partition.
            let looked = self.look(&mut client, &mut silence);
            if looked.is_err() {
                (client, silence) = (None, Silence::default());
            }
        }
    }

    fn look(&self, client: &mut Option<BaseConsumer<Plain>>, silence: &mut Silence) -> Result<(), StoreError> {
        let client = match client {
            Some(client) => client,
            None => client.insert(self.client()?),
        };
        drain(client);
        if self.positions.has_unknown() {
            self.learn(client)?;
        }
        // In this order: what is read while the ends are asked for is no reason to worry.
        let read = self.positions.read();
        let ends = offsets::ends(client, &self.settings, &self.topic)?;
        let behind = read
            .iter()
            .zip(ends)
            .filter_map(|(next, end)| Some((end - (*next)?).max(0)));
        ::metrics::gauge!(metrics::CONSUMER_LAG, "client" => self.health.client()).set(behind.sum::<i64>() as f64);
        let deaf = silence.of(&read, &ends, Instant::now());
        if !deaf.is_empty() {
            let client = self.health.client();
            ::metrics::counter!(metrics::RENEWALS, "client" => client).increment(1);
            tracing::warn!(
                client,
                "kafka: slices {deaf:?} are silent though there is something, read anew"
            );
            self.positions.renew();
            *silence = Silence::default();
        }
        Ok(())
    }

    fn client(&self) -> Result<BaseConsumer<Plain>, StoreError> {
        client::asking(&self.settings, &self.health)
    }

    /// Asks where the group begins.
    fn learn(&self, client: &BaseConsumer<Plain>) -> Result<(), StoreError> {
        let next = committed(client, &self.settings, &self.topic)?;
        for slice in Slice::all() {
            self.positions.learn(slice, next[slice.index()]);
        }
        Ok(())
    }
}

/// Waits until every partition of a topic has a leader that answers; false after the stop. Nothing is fetched for it.
pub(super) fn until_led(settings: &Settings, topic: &str, health: &Arc<Health>, stop: &CancellationToken) -> bool {
    while !stop.is_cancelled() {
        match are_led(settings, topic, health) {
            Ok(()) => {
                health.reached();
                return true;
            }
            Err(error) => tracing::debug!(client = health.client(), "the bus is not back: {}", chain(&error)),
        }
        worker::wait(RETRY, stop);
    }
    false
}

fn are_led(settings: &Settings, topic: &str, health: &Arc<Health>) -> Result<(), StoreError> {
    let client = client::asking(settings, health)?;
    let Err(error) = offsets::ends(&client, settings, topic) else {
        return Ok(());
    };
    match &error {
        StoreError::Unavailable { source, .. } => {
            health.fail(format!("kafka: cannot be reached: {}", chain(source.as_ref())));
        }
        StoreError::Corrupt { why, .. } => health.fail(format!("kafka: {why}")),
    }
    // The client itself knows better which broker it is about.
    drain(&client);
    Err(error)
}

/// Lets a client say what it has to say.
fn drain(client: &BaseConsumer<Plain>) {
    for _ in 0..GATHERED {
        drop(client.poll(Duration::ZERO));
    }
}

/// Where the group goes on in each partition: behind what it was told, or with the oldest there is. Blocks.
pub(super) fn committed(client: &BaseConsumer<Plain>, settings: &Settings, topic: &str) -> Result<Offsets, StoreError> {
    let mut next = offsets::beginnings(client, settings, topic)?;
    let asked = offsets::list(topic, |_| Offset::Invalid)?;
    let known = client
        .committed_offsets(asked, settings.request())
        .map_err(unavailable)?;
    for element in known.elements() {
        if let Offset::Offset(offset) = element.offset() {
            let next = &mut next[element.partition() as usize];
            *next = offset.max(*next);
        }
    }
    Ok(next)
}

/// Since when partitions have been silent, and where.
struct Silence([Option<(i64, Instant)>; SLICES]);

impl Default for Silence {
    fn default() -> Self {
        Self([None; SLICES])
    }
}

impl Silence {
    /// The partitions that have been silent for too long, by what is read of each and where each ends.
    fn of(&mut self, read: &[Option<i64>; SLICES], ends: &Offsets, now: Instant) -> Vec<usize> {
        let mut deaf = Vec::new();
        for (i, silent) in self.0.iter_mut().enumerate() {
            *silent = match (read[i], *silent) {
                (None, _) => None,
                (Some(next), _) if next >= ends[i] => None,
                (Some(next), Some((at, since))) if at == next => Some((at, since)),
                (Some(next), _) => Some((next, now)),
            };
            if silent.is_some_and(|(_, since)| now.duration_since(since) >= PATIENCE) {
                deaf.push(i);
            }
        }
        deaf
    }
}

#[cfg(test)]
mod tests;
