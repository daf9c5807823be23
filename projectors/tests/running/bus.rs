//! The outbox and the bus as one relay sees them. A relay can be frozen in the middle of anything and go on later, and it can
//! die; leases can be taken from it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cocotalk_application::contract::publisher::record;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::outbox::{Lease, LogRecord, Outbox, SliceGroup};
use cocotalk_application::port::publisher::{Publisher, RelayPorts};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::chance::Chance;
use crate::world::locked;

/// Events of one slice that one read returns.
const PAGE: usize = 5;
/// How long a leader may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// What outlives every relay.
pub(crate) struct Bus {
    pub(crate) chance: Chance,
    /// How many of a thousand calls fail.
    pub(crate) faults: AtomicU64,
    log: Mutex<Vec<Vec<LogRecord>>>,
    rung: Notify,
    progress: Mutex<[u64; SLICES]>,
    /// Which relay leads a group, by which lease, and when it was asked for last.
    leases: Mutex<HashMap<SliceGroup, (u64, u64, Instant)>>,
    next: AtomicU64,
    /// Everything that ever was on the bus, by slice.
    history: Mutex<Vec<Vec<LogRecord>>>,
    /// From where on each partition is still kept.
    kept: Mutex<[usize; SLICES]>,
}

impl Bus {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            chance: Chance::new(seed),
            faults: AtomicU64::new(0),
            log: Mutex::new(vec![Vec::new(); SLICES]),
            rung: Notify::new(),
            progress: Mutex::new([0; SLICES]),
            leases: Mutex::default(),
            next: AtomicU64::new(0),
            history: Mutex::new(vec![Vec::new(); SLICES]),
            kept: Mutex::new([0; SLICES]),
        })
    }

    pub(crate) fn append(&self, stream: StreamId) {
        let mut log = locked(&self.log);
        let events = &mut log[stream.slice().index()];
        events.push(record(stream, events.len() as u64 + 1));
        self.rung.notify_waiters();
    }

    /// Takes away every lease of a relay, or of all.
    pub(crate) fn revoke(&self, of: Option<u64>) {
        locked(&self.leases).retain(|_, (relay, ..)| of.is_some_and(|of| of != *relay));
    }

    /// How many groups a relay leads.
    pub(crate) fn led(&self, by: u64) -> usize {
        locked(&self.leases).values().filter(|(relay, ..)| *relay == by).count()
    }

    /// Empties all partitions, as time does.
    pub(crate) fn expire(&self) {
        let history = locked(&self.history);
        *locked(&self.kept) = std::array::from_fn(|index| history[index].len());
    }

    /// How far every slice is noted as published.
    pub(crate) fn noted(&self) -> [u64; SLICES] {
        *locked(&self.progress)
    }

    /// Whether every event was published.
    pub(crate) fn is_complete(&self) -> bool {
        let (log, history) = (locked(&self.log), locked(&self.history));
        log.iter().zip(history.iter()).all(|(events, published)| {
            published.iter().map(|record| record.slice_pos).max().unwrap_or(0) == events.len() as u64
        })
    }

    /// Asserts that all of it was published in order and without holes, and answers how many were published again.
    pub(crate) fn assert_published(&self) -> usize {
        let (log, history) = (locked(&self.log), locked(&self.history));
        let mut repeated = 0;
        for (events, published) in log.iter().zip(history.iter()) {
            let mut last = 0;
            for record in published {
                let position = record.slice_pos;
                assert!(
                    position <= last + 1,
                    "slice {}: {position} comes after {last}",
                    record.slice
                );
                assert_eq!(record, &events[position as usize - 1]);
                repeated += usize::from(position <= last);
                last = last.max(position);
            }
            assert_eq!(last, events.len() as u64, "everything is published");
        }
        repeated
    }
}

/// The outbox and the bus as one relay sees them.
#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) bus: Arc<Bus>,
    pub(crate) id: u64,
    pub(crate) frozen: watch::Sender<bool>,
    /// Publishing does not end, while everything else goes on.
    pub(crate) stuck: watch::Sender<bool>,
}

impl Relay {
    pub(crate) fn of(bus: &Arc<Bus>) -> Self {
        Self {
            bus: Arc::clone(bus),
            id: bus.next.fetch_add(1, Ordering::Relaxed),
            frozen: watch::Sender::new(false),
            stuck: watch::Sender::new(false),
        }
    }

    pub(crate) fn ports(&self) -> RelayPorts {
        RelayPorts {
            outbox: Arc::new(self.clone()),
            publisher: Arc::new(self.clone()),
        }
    }

    async fn thawed(&self) {
        let mut frozen = self.frozen.subscribe();
        frozen
            .wait_for(|frozen| !*frozen)
            .await
            .expect("this relay holds the other end");
    }

    async fn step(&self) -> Result<(), StoreError> {
        self.bus.chance.pause(3).await;
        self.thawed().await;
        if self.bus.chance.happens(self.bus.faults.load(Ordering::Relaxed)) {
            return Err(StoreError::unavailable("the double", "as the test wants it"));
        }
        Ok(())
    }
}

#[async_trait]
impl Outbox for Relay {
    async fn read_after(&self, after: &[(Slice, u64)]) -> Result<Vec<LogRecord>, StoreError> {
        self.step().await?;
        let log = locked(&self.bus.log);
        let of = |(slice, position): &(Slice, u64)| {
            let events = log[slice.index()].iter().skip(*position as usize);
            events.take(PAGE).cloned().collect::<Vec<_>>()
        };
        Ok(after.iter().flat_map(of).collect())
    }

    async fn appended(&self) {
        drop(tokio::time::timeout(Duration::from_millis(50), self.bus.rung.notified()).await);
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        self.step().await?;
        let log = locked(&self.bus.log);
        Ok(std::array::from_fn(|index| log[index].len() as u64))
    }

    async fn progress(&self) -> Result<[u64; SLICES], StoreError> {
        self.step().await?;
        Ok(self.bus.noted())
    }

    async fn save_progress(&self, positions: &[(Slice, u64)]) -> Result<(), StoreError> {
        self.step().await?;
        let mut progress = locked(&self.bus.progress);
        let history = locked(&self.bus.history);
        for (slice, position) in positions {
            let published = history[slice.index()]
                .iter()
                .map(|record| record.slice_pos)
                .max()
                .unwrap_or(0);
            assert!(
                *position <= published,
                "slice {slice}: {position} is noted, {published} is published"
            );
            let noted = &mut progress[slice.index()];
            *noted = (*noted).max(*position);
        }
        Ok(())
    }

    async fn lead(&self, group: SliceGroup) -> Result<Option<Box<dyn Lease>>, StoreError> {
        self.step().await?;
        let mut leases = locked(&self.bus.leases);
        leases.retain(|_, (.., asked)| asked.elapsed() < SILENCE);
        if leases.contains_key(&group) {
            return Ok(None);
        }
        let number = self.bus.next.fetch_add(1, Ordering::Relaxed);
        leases.insert(group, (self.id, number, Instant::now()));
        Ok(Some(Box::new(LeaseDouble {
            relay: self.clone(),
            group,
            number,
        })))
    }
}

struct LeaseDouble {
    relay: Relay,
    group: SliceGroup,
    number: u64,
}

#[async_trait]
impl Lease for LeaseDouble {
    async fn is_held(&mut self) -> Result<bool, StoreError> {
        self.relay.step().await?;
        let mut leases = locked(&self.relay.bus.leases);
        let Some((relay, number, asked)) = leases.get_mut(&self.group) else {
            return Ok(false);
        };
        let is_mine = (*relay, *number) == (self.relay.id, self.number);
        if is_mine {
            *asked = Instant::now();
        }
        Ok(is_mine)
    }

    async fn release(self: Box<Self>) {
        self.relay.bus.chance.pause(3).await;
    }
}

impl Drop for LeaseDouble {
    fn drop(&mut self) {
        let mine = (self.group, self.relay.id, self.number);
        locked(&self.relay.bus.leases).retain(|group, (relay, number, _)| (*group, *relay, *number) != mine);
    }
}

#[async_trait]
impl Publisher for Relay {
    async fn publish(&self, records: Vec<LogRecord>) -> Result<(), StoreError> {
        self.step().await?;
        for record in records {
            // It may be frozen between any two records, and break off there: what follows in this slice is not published.
            self.thawed().await;
            if self.bus.chance.happens(self.bus.faults.load(Ordering::Relaxed) / 10) {
                return Err(StoreError::unavailable("the double", "as the test wants it"));
            }
            if self.bus.chance.happens(200) {
                self.bus.chance.pause(3).await;
            }
            locked(&self.bus.history)[record.slice.index()].push(record);
        }
        let mut stuck = self.stuck.subscribe();
        drop(stuck.wait_for(|stuck| !*stuck).await);
        // Everything is published, and the answer gets lost.
        self.step().await
    }

    async fn tails(&self) -> Result<[Option<u64>; SLICES], StoreError> {
        self.step().await?;
        let (history, kept) = (locked(&self.bus.history), locked(&self.bus.kept));
        let tail = |index: usize| history[index][kept[index]..].last().map(|record| record.slice_pos);
        Ok(std::array::from_fn(tail))
    }
}
