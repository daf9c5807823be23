//! The stores that projectors work with, as one process sees them: each call may fail before or after it was carried out, all
//! of them while the stores are down, and none returns any more once the process is dead.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cocotalk_application::contract::support::{at, event, room_id, room_in};
use cocotalk_application::error::StoreError;
use cocotalk_application::following::Aggregate;
use cocotalk_application::port::event_log::{
    CommandKey, EventLog, LockedLog, LogReader, Probe, RecordedEvent, Snapshot, Unit, UnitOutcome,
};
use cocotalk_application::port::parking::{ParkedEvent, Parking, ToPark};
use cocotalk_application::port::row_store::{Checkpoint, RowStore, Tables};
use cocotalk_application::projection::{Poison, Projection};
use cocotalk_application::row::{RowWrite, Stamped};
use cocotalk_domain::id::UserId;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::room::Role;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use tokio::time::Instant;
use uuid::Uuid;

use crate::chance::Chance;
use crate::read_model::ReadModelDouble;

/// Events of one page of the log: small, so that there are many.
const PAGE: usize = 7;
/// How long rows have to be there to count as settled.
pub(crate) const SETTLE: Duration = Duration::from_secs(20);

/// What outlives every process.
pub(crate) struct World {
    pub(crate) chance: Chance,
    /// How many of a thousand calls fail.
    pub(crate) faults: AtomicU64,
    pub(crate) is_down: AtomicBool,
    log: Mutex<Vec<Vec<Arc<RecordedEvent>>>>,
    pub(crate) read_model: Mutex<ReadModelDouble>,
    parked: Mutex<Vec<(Tables, ParkedEvent)>>,
    /// What was parked at any time.
    pub(crate) was_parked: Mutex<HashSet<(Tables, Slice, u64)>>,
    /// Broken promises.
    pub(crate) violations: Mutex<Vec<String>>,
}

/// Locks something that no test poisons.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub(crate) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self {
            chance: Chance::new(seed),
            faults: AtomicU64::new(0),
            is_down: AtomicBool::new(false),
            log: Mutex::new(vec![Vec::new(); SLICES]),
            read_model: Mutex::default(),
            parked: Mutex::default(),
            was_parked: Mutex::default(),
            violations: Mutex::default(),
        })
    }

    /// Appends an event to a stream.
    pub(crate) fn append(&self, stream: StreamId) -> Arc<RecordedEvent> {
        let mut log = locked(&self.log);
        let slice = stream.slice();
        let events = &mut log[slice.index()];
        let sequence = 1 + events.iter().filter(|event| event.stream == stream).count() as u64;
        let slice_pos = events.len() as u64 + 1;
        let recorded = Arc::new(RecordedEvent {
            stream,
            sequence,
            slice,
            slice_pos,
            ts_us: 1_767_225_600_000_000 + slice_pos as i64,
            event: Ok(event(stream, sequence)),
            metadata: Arc::default(),
        });
        events.push(Arc::clone(&recorded));
        recorded
    }

    /// All events of a slice.
    pub(crate) fn slice(&self, slice: Slice) -> Vec<Arc<RecordedEvent>> {
        locked(&self.log)[slice.index()].clone()
    }

    /// All events.
    pub(crate) fn events(&self) -> Vec<Arc<RecordedEvent>> {
        locked(&self.log).concat()
    }

    /// Everything that is parked now: projection and event.
    pub(crate) fn parked(&self) -> Vec<(&'static str, ParkedEvent)> {
        let parked = locked(&self.parked);
        parked
            .iter()
            .map(|(tables, event)| (tables.projection, event.clone()))
            .collect()
    }

    /// The stores come to a stop, and with them goes what they did not have on their disks.
    pub(crate) fn lose(&self, unsynced: Duration) {
        self.is_down.store(true, Ordering::Relaxed);
        locked(&self.read_model).lose(unsynced);
    }

    pub(crate) fn violated(&self, what: String) {
        locked(&self.violations).push(what);
    }

    /// Asserts that every promise was kept.
    pub(crate) fn assert_kept(&self) {
        let violations = locked(&self.violations);
        assert!(violations.is_empty(), "{violations:#?}");
    }

    fn park(&self, tables: Tables, events: &[ToPark]) -> Vec<usize> {
        let mut free = Vec::new();
        let mut parked = locked(&self.parked);
        for (index, event) in events.iter().enumerate() {
            let aggregate = Aggregate::from(event.stream);
            let waits = parked
                .iter()
                .any(|(of, other)| *of == tables && Aggregate::from(other.stream) == aggregate);
            if !waits && !event.is_culprit {
                free.push(index);
                continue;
            }
            locked(&self.was_parked).insert((tables, event.slice, event.slice_pos));
            let is_known =
                |(of, other): &(Tables, ParkedEvent)| *of == tables && is(other, &event.stream, event.sequence);
            if !parked.iter().any(is_known) {
                parked.push((tables, waiting(event)));
            }
        }
        parked.sort_by_key(|(_, event)| event.slice_pos);
        free
    }

    fn checkpoint(&self, tables: Tables, slice: Slice, checkpoint: Checkpoint) {
        let events = self.slice(slice);
        let was_parked = locked(&self.was_parked);
        let read_model = locked(&self.read_model);
        for event in events.iter().take_while(|event| event.slice_pos <= checkpoint.position) {
            let position = event.slice_pos;
            if was_parked.contains(&(tables, slice, position)) {
                continue;
            }
            let written = read_model.written(tables, slice, position);
            if written.is_none() && !read_model.has_lost() {
                self.violated(format!(
                    "{slice}: the checkpoint passes {position}, which is not written"
                ));
            }
            if position <= checkpoint.settled && written.is_none_or(|written| written.elapsed() < SETTLE) {
                self.violated(format!("{slice}: {position} counts as settled, written {written:?}"));
            }
        }
    }
}

/// The stores as one process sees them.
pub(crate) struct Process {
    pub(crate) world: Arc<World>,
    is_dead: AtomicBool,
}

impl Process {
    pub(crate) fn of(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self {
            world: Arc::clone(world),
            is_dead: AtomicBool::new(false),
        })
    }

    /// Whatever it was doing, it does no more.
    pub(crate) fn die(&self) {
        self.is_dead.store(true, Ordering::Relaxed);
    }

    /// One step of a call.
    async fn step(&self) -> Result<(), StoreError> {
        self.world.chance.pause(3).await;
        if self.is_dead.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let is_down = self.world.is_down.load(Ordering::Relaxed);
        if is_down || self.world.chance.happens(self.world.faults.load(Ordering::Relaxed)) {
            return Err(StoreError::unavailable("the double", "as the test wants it"));
        }
        Ok(())
    }
}

#[async_trait]
impl LogReader for Process {
    async fn load(&self, stream: &StreamId, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.step().await?;
        let events = self.world.slice(stream.slice());
        let wanted = events
            .iter()
            .filter(|event| event.stream == *stream && event.sequence > after);
        Ok(wanted.take(PAGE).map(|event| (**event).clone()).collect())
    }

    async fn about(&self, _: Uuid, _: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        panic!("projectors do not ask for messages")
    }

    async fn probe(&self, _: Option<CommandKey>, _: &[StreamId], _: &[Slice]) -> Result<Probe, StoreError> {
        panic!("projectors do not decide")
    }
}

#[async_trait]
impl EventLog for Process {
    async fn append(&self, _: Vec<Unit>) -> Result<Vec<UnitOutcome>, StoreError> {
        panic!("projectors do not append")
    }

    async fn lock(&self, _: BTreeSet<Slice>) -> Result<Box<dyn LockedLog>, StoreError> {
        panic!("projectors do not append")
    }

    async fn read_slice(&self, slice: Slice, after: u64) -> Result<Vec<RecordedEvent>, StoreError> {
        self.step().await?;
        let events = self.world.slice(slice);
        let wanted = events.iter().filter(|event| event.slice_pos > after);
        Ok(wanted.take(PAGE).map(|event| (**event).clone()).collect())
    }

    async fn heads(&self) -> Result<[u64; SLICES], StoreError> {
        self.step().await?;
        let log = locked(&self.world.log);
        Ok(std::array::from_fn(|index| log[index].len() as u64))
    }

    async fn snapshot(&self, _: &StreamId, _: u32) -> Result<Option<Snapshot>, StoreError> {
        Ok(None)
    }

    async fn save_snapshot(&self, _: &StreamId, _: Snapshot) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl RowStore for Process {
    async fn write(&self, tables: Tables, writes: &[Stamped]) -> Result<(), StoreError> {
        self.step().await?;
        // In any order, and broken off anywhere.
        let first = self.world.chance.below(writes.len().max(1) as u64) as usize;
        for part in [&writes[first..], &writes[..first]] {
            locked(&self.world.read_model).write(tables, part);
            self.step().await?;
        }
        Ok(())
    }

    async fn progress(&self, tables: Tables) -> Result<[Checkpoint; SLICES], StoreError> {
        self.step().await?;
        Ok(locked(&self.world.read_model).progress(tables))
    }

    async fn save_checkpoint(&self, tables: Tables, slice: Slice, checkpoint: Checkpoint) -> Result<(), StoreError> {
        self.step().await?;
        self.world.checkpoint(tables, slice, checkpoint);
        locked(&self.world.read_model).save(tables, slice, checkpoint);
        self.step().await
    }
}

#[async_trait]
impl Parking for Process {
    async fn park(&self, tables: Tables, events: &[ToPark]) -> Result<Vec<usize>, StoreError> {
        self.step().await?;
        let free = self.world.park(tables, events);
        self.step().await?;
        Ok(free)
    }

    async fn aggregates(&self, tables: Tables, slice: Slice) -> Result<Vec<Aggregate>, StoreError> {
        self.step().await?;
        let parked = locked(&self.world.parked);
        let wanted = parked
            .iter()
            .filter(|(of, event)| *of == tables && event.slice == slice);
        Ok(wanted.map(|(_, event)| event.stream.into()).collect())
    }

    async fn list(&self, _: Option<Tables>, _: usize) -> Result<Vec<(String, u32, ParkedEvent)>, StoreError> {
        panic!("nobody lists in these tests")
    }

    async fn of_aggregate(&self, tables: Tables, aggregate: Aggregate) -> Result<Vec<ParkedEvent>, StoreError> {
        self.step().await?;
        let parked = locked(&self.world.parked);
        let wanted = parked
            .iter()
            .filter(|(of, event)| *of == tables && Aggregate::from(event.stream) == aggregate);
        Ok(wanted.map(|(_, event)| event.clone()).collect())
    }

    async fn remove(&self, tables: Tables, stream: &StreamId, sequence: u64) -> Result<bool, StoreError> {
        self.step().await?;
        let mut parked = locked(&self.world.parked);
        let before = parked.len();
        parked.retain(|(of, event)| *of != tables || !is(event, stream, sequence));
        Ok(parked.len() < before)
    }

    async fn tried(&self, tables: Tables, stream: &StreamId, sequence: u64, error: &str) -> Result<(), StoreError> {
        self.step().await?;
        let mut parked = locked(&self.world.parked);
        for (_, event) in parked
            .iter_mut()
            .filter(|(of, event)| *of == tables && is(event, stream, sequence))
        {
            event.attempts += 1;
            error.clone_into(&mut event.error);
        }
        Ok(())
    }
}

fn is(event: &ParkedEvent, stream: &StreamId, sequence: u64) -> bool {
    event.stream == *stream && event.sequence == sequence
}

fn waiting(event: &ToPark) -> ParkedEvent {
    ParkedEvent {
        stream: event.stream,
        sequence: event.sequence,
        slice: event.slice,
        slice_pos: event.slice_pos,
        error: event.error.clone(),
        attempts: 1,
        first_at: at(1),
        last_at: at(1),
    }
}

/// A projection that makes of every event a row of its own, and a cell that the next event overwrites.
#[derive(Default)]
pub(crate) struct Fold {
    pub(crate) name: &'static str,
    /// What it cannot take, for the time being.
    pub(crate) poison: Mutex<HashSet<(StreamId, u64)>>,
}

impl Fold {
    pub(crate) fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            poison: Mutex::default(),
        })
    }

    pub(crate) fn tables(&self) -> Tables {
        Tables::of(self)
    }

    /// The rows of events, whatever it cannot take.
    pub(crate) fn straight<'a>(
        &self,
        events: impl IntoIterator<Item = &'a Arc<RecordedEvent>>,
    ) -> HashMap<String, String> {
        let mut tables = ReadModelDouble::default();
        for event in events {
            let stamp = |write| Stamped {
                ts_us: event.ts_us,
                write,
            };
            let rows: Vec<Stamped> = rows(event).into_iter().map(stamp).collect();
            tables.write(self.tables(), &rows);
        }
        tables.cells(self.tables())
    }
}

impl Projection for Fold {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rows(&self, event: &RecordedEvent) -> Result<Vec<RowWrite>, Poison> {
        if locked(&self.poison).contains(&(event.stream, event.sequence)) {
            return Err(Poison("as the test wants it".to_owned()));
        }
        Ok(rows(event))
    }
}

/// The person that stands for an event.
pub(crate) const fn mark(slice: Slice, position: u64) -> UserId {
    UserId::from_u128(((slice.index() as u128) << 64) | position as u128)
}

fn rows(event: &RecordedEvent) -> Vec<RowWrite> {
    let room_id = room_id(event.stream);
    let own = RowWrite::MemberRole {
        room_id,
        user_id: mark(event.slice, event.slice_pos),
        role: Role::Member,
    };
    let last = match event.stream {
        StreamId::Seat(_, user_id) => RowWrite::Read {
            room_id,
            user_id,
            read_seq: Seq(event.sequence),
            read_cnt: Cnt(event.sequence),
        },
        StreamId::Room(_) | StreamId::Account(_) | StreamId::Claim(_) => RowWrite::RoomName {
            room_id,
            name: Some(format!("{} of the room", event.sequence)),
        },
    };
    vec![own, last]
}

/// Some rooms of a slice, each with a seat.
pub(crate) fn streams(slice: Slice, rooms: usize) -> Vec<StreamId> {
    let mut streams = Vec::new();
    for _ in 0..rooms {
        let room = room_in(slice);
        streams.extend([room, StreamId::Seat(room_id(room), UserId::from_u128(9))]);
    }
    streams
}

/// Waits until something is so; the clock only runs while nobody has anything to do.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(5);
    while !holds() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
