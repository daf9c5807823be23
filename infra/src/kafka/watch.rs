//! Finds out that a consumer has gone deaf to a partition.
//!
//! A broker that is starting answers that it knows no leader yet. The driver then takes whatever lies in its memory for the
//! leader's epoch, and if that happens to look like one, every later answer seems older than it: the partition delivers
//! nothing any more, for ever and without an error. (`librdkafka` 2.12 does so where it evaluates the leaders that come with
//! the answer to a fetch, since it skips those that are none but has counted them; its issue 5430 has a similar end.) Nothing
//! short of another client helps, so whatever reads for a long time is watched: a partition that has records, and of which
//! nothing has been read for a while, makes its reader begin anew where it was.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use cocotalk_application::error::StoreError;
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
    is_deaf: AtomicBool,
}

impl Default for Positions {
    fn default() -> Self {
        Self {
            next: [const { AtomicI64::new(OFF) }; SLICES],
            paused: [const { AtomicBool::new(false) }; SLICES],
            is_busy: AtomicBool::new(false),
            is_deaf: AtomicBool::new(false),
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

    /// Whether the reader has to begin anew; true once.
    pub(super) fn take_deafness(&self) -> bool {
        self.is_deaf.load(Ordering::Acquire) && self.is_deaf.swap(false, Ordering::AcqRel)
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
        for _ in 0..GATHERED {
            drop(client.poll(Duration::ZERO));
        }
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
            self.positions.is_deaf.store(true, Ordering::Release);
            *silence = Silence::default();
        }
        Ok(())
    }

    fn client(&self) -> Result<BaseConsumer<Plain>, StoreError> {
        client::consumer(&self.settings, &self.health)
            .set("statistics.interval.ms", "0")
            .create_with_context(Plain(Arc::clone(&self.health)))
            .map_err(unavailable)
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
