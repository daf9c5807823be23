//! Everything in memory, for tests and examples: every promise of the ports but durability.

mod keys;
mod reads;
mod tables;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use cocotalk_application::error::StoreError;
use cocotalk_application::port::clock::Clock;
use cocotalk_application::port::event_log::{
    CommandKey, EventLog, LockedLog, LogReader, NewEvent, PAGE_EVENTS, Probe, RecordedEvent, Run, Snapshot,
    StoredCommand, Unit, UnitOutcome,
};
use cocotalk_application::port::live::{Committed, EventFeed};
use cocotalk_application::projection::Projection;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use cocotalk_domain::time::Instant;
use tokio::sync::{OwnedMutexGuard, broadcast};
use uuid::Uuid;

use crate::clock::now_us;
use cocotalk_application::following::Followed;
pub use keys::MemoryKeyVault;
use tables::Tables;

/// A store in memory. Clones are the same store.
#[derive(Clone)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    /// Held by whoever may append.
    turn: Arc<tokio::sync::Mutex<()>>,
    feed: broadcast::Sender<Committed>,
}

#[derive(Default)]
struct State {
    slices: Vec<Vec<Arc<RecordedEvent>>>,
    streams: HashMap<StreamId, Vec<Arc<RecordedEvent>>>,
    subjects: HashMap<Uuid, Vec<Arc<RecordedEvent>>>,
    commands: HashMap<CommandKey, StoredCommand>,
    snapshots: HashMap<(StreamId, u32), Snapshot>,
    followed: Vec<Followed>,
    tables: Tables,
}

impl MemoryStore {
    /// An empty store with these projections.
    pub fn new(projections: Vec<Arc<dyn Projection>>) -> Self {
        let follow = |projection| Followed {
            projection,
            positions: [0; SLICES],
            parked: HashSet::new(),
        };
        let followed = projections.into_iter().map(follow).collect();
        let state = State {
            slices: vec![Vec::new(); SLICES],
            followed,
            ..State::default()
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            turn: Arc::default(),
            feed: crate::live::commits(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends while the turn is held. Told before the turn ends, so that the feed is in the order of the log.
    fn append_now(&self, units: Vec<Unit>) -> Vec<UnitOutcome> {
        let mut state = self.state();
        let mut events = Vec::new();
        let outcomes = units.into_iter().map(|unit| state.append(unit, &mut events)).collect();
        state.project(&events);
        drop(state);
        if !events.is_empty() {
            // An error means that nobody listens.
            let _nobody = self.feed.send(events.into());
        }
        outcomes
    }
}

impl State {
    fn version(&self, stream: &StreamId) -> u64 {
        self.streams.get(stream).map_or(0, |events| events.len() as u64)
    }

    fn append(&mut self, unit: Unit, events: &mut Vec<Arc<RecordedEvent>>) -> UnitOutcome {
        let mut stamps = unit
            .runs
            .iter()
            .flat_map(|run| &run.events)
            .filter_map(|event| event.stamp.as_ref());
        if stamps.any(|stamp| self.commands.contains_key(&stamp.key)) {
            return UnitOutcome::Repeated;
        }
        if unit.runs.iter().any(|run| self.version(&run.stream) != run.after) {
            return UnitOutcome::Conflict;
        }
        UnitOutcome::Appended {
            first_pos: unit.runs.into_iter().map(|run| self.append_run(run, events)).collect(),
        }
    }

    fn append_run(&mut self, run: Run, events: &mut Vec<Arc<RecordedEvent>>) -> u64 {
        let first_pos = self.slices[run.slice.index()].len() as u64 + 1;
        for event in run.events {
            events.push(self.record(run.stream, run.slice, event));
        }
        first_pos
    }

    fn record(&mut self, stream: StreamId, slice: Slice, new: NewEvent) -> Arc<RecordedEvent> {
        let NewEvent {
            event,
            metadata,
            subject,
            stamp,
        } = new;
        let in_slice = &mut self.slices[slice.index()];
        let in_stream = self.streams.entry(stream).or_default();
        let recorded = Arc::new(RecordedEvent {
            stream,
            sequence: in_stream.len() as u64 + 1,
            slice,
            slice_pos: in_slice.len() as u64 + 1,
            ts_us: in_slice.last().map_or(0, |last| last.ts_us + 1).max(now_us()),
            event: Ok(event),
            metadata,
        });
        in_slice.push(Arc::clone(&recorded));
        in_stream.push(Arc::clone(&recorded));
        if let Some(subject) = subject {
            self.subjects.entry(subject).or_default().push(Arc::clone(&recorded));
        }
        if let Some(stamp) = stamp {
            self.commands.insert(
                stamp.key,
                StoredCommand {
                    request_mac: stamp.request_mac,
                    answer: stamp.answer,
                },
            );
        }
        recorded
    }

    fn project(&mut self, events: &[Arc<RecordedEvent>]) {
        for followed in &mut self.followed {
            let projected = followed.project(events.iter());
            for stamped in projected.writes {
                self.tables.write(stamped.write);
            }
            followed.parked.extend(projected.newly);
            for event in events {
                followed.positions[event.slice.index()] = event.slice_pos;
            }
        }
    }

    fn probe(&self, key: Option<CommandKey>, streams: &[StreamId], slices: &[Slice]) -> Probe {
        Probe {
            command: key.and_then(|key| self.commands.get(&key).cloned()),
            versions: streams.iter().map(|stream| self.version(stream)).collect(),
            heads: slices
                .iter()
                .map(|slice| self.slices[slice.index()].len() as u64)
                .collect(),
        }
    }
}

/// A page of a dense list whose first item has number 1.
fn page(events: Option<&Vec<Arc<RecordedEvent>>>, after: u64) -> Vec<RecordedEvent> {
    let after = usize::try_from(after).unwrap_or(usize::MAX);
    let events = events.into_iter().flatten().skip(after).take(PAGE_EVENTS);
    events.map(|event| RecordedEvent::clone(event)).collect()
}

#[async_trait]
impl LogReader for MemoryStore {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(page(self.state().streams.get(stream), after))
    }

    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        let state = self.state();
        let events = state.subjects.get(&subject).into_iter().flatten();
        let later = events.filter(|event| event.sequence > after).take(PAGE_EVENTS);
        Ok(later.map(|event| RecordedEvent::clone(event)).collect())
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        Ok(self.state().probe(key, streams, slices))
    }
}

#[async_trait]
impl EventLog for MemoryStore {
    async fn append(&self, units: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError> {
        let _turn = self.turn.lock().await;
        Ok(self.append_now(units))
    }

    async fn lock(&self, _slices: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        Ok(Box::new(Locked {
            store: self.clone(),
            turn,
        }))
    }

    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        Ok(page(self.state().slices.get(slice.index()), after))
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        let state = self.state();
        Ok(std::array::from_fn(|slice| state.slices[slice].len() as u64))
    }

    async fn snapshot(&self, stream: &StreamId, state_version: u32) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.state().snapshots.get(&(*stream, state_version)).cloned())
    }

    async fn save_snapshot(&self, stream: &StreamId, snapshot: Snapshot) -> Result<(), StoreError> {
        let mut state = self.state();
        let kept = state
            .snapshots
            .entry((*stream, snapshot.state_version))
            .or_insert_with(|| snapshot.clone());
        if kept.sequence < snapshot.sequence {
            *kept = snapshot;
        }
        Ok(())
    }
}

impl EventFeed for MemoryStore {
    fn subscribe(&self) -> broadcast::Receiver<Committed> {
        self.feed.subscribe()
    }
}

/// The turn, held until it is used or dropped.
struct Locked {
    store: MemoryStore,
    turn: OwnedMutexGuard<()>,
}

#[async_trait]
impl LogReader for Locked {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.load(stream, after).await
    }

    async fn about(&self, subject: Uuid, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.store.about(subject, after).await
    }

    async fn probe(
        &self,
        key: Option<CommandKey>,
        streams: &[StreamId],
        slices: &[Slice],
    ) -> Result<Probe, StoreError> {
        self.store.probe(key, streams, slices).await
    }
}

#[async_trait]
impl LockedLog for Locked {
    async fn commit(self: Box<Self>, unit: Unit) -> Result<UnitOutcome, StoreError> {
        let Self { store, turn } = *self;
        let outcome = store.append_now(vec![unit]).remove(0);
        drop(turn);
        Ok(outcome)
    }
}

/// A clock that stands still until it is moved, and ids that count.
#[derive(Debug)]
pub struct ManualClock {
    millis: AtomicU64,
    ids: AtomicU64,
}

impl ManualClock {
    /// A clock at this instant.
    pub const fn new(now: Instant) -> Self {
        Self {
            millis: AtomicU64::new(now.millis() as u64),
            ids: AtomicU64::new(0),
        }
    }

    /// Moves it, forwards or back.
    pub fn set(&self, now: Instant) {
        self.millis.store(now.millis() as u64, Ordering::Release);
    }

    /// Moves it on.
    pub fn advance(&self, by: std::time::Duration) {
        self.millis.fetch_add(by.as_millis() as u64, Ordering::AcqRel);
    }
}

impl Default for ManualClock {
    /// The first instant of 2026.
    fn default() -> Self {
        Self::new(Instant::from_millis(1_767_225_600_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.millis.load(Ordering::Acquire) as i64)
    }

    fn new_id(&self) -> Uuid {
        let millis = self.millis.load(Ordering::Acquire);
        let number = self.ids.fetch_add(1, Ordering::AcqRel);
        let mut random = [0; 10];
        random[2..].copy_from_slice(&number.to_be_bytes());
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_gives_rising_ids_of_version_7() {
        let clock = ManualClock::default();
        let ids: Vec<Uuid> = (0..300).map(|_| clock.new_id()).collect();
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
        assert!(ids.windows(2).all(|pair| pair[0] < pair[1]));
    }
}
