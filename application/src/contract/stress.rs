//! Many writers at once, a reader beside them, and a checker over what they leave.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use cocotalk_domain::stream::{SLICES, Slice, StreamId};
use futures_util::future::join_all;

use super::Store;
use super::support::{append_one, key, room, room_in, run, slice_events, stamp, stamped, unit};
use crate::port::event_log::{CommandKey, EventLog, RecordedEvent, Unit, UnitOutcome};
use crate::projection::Projection;

type Projections = Vec<Arc<dyn Projection>>;

/// Tasks that append.
const WRITERS: usize = 12;
/// Units that each of them has to get in.
const UNITS: usize = 40;
/// Streams that all of them write to, so that they are in each other's way.
const STREAMS: usize = 6;

/// What the writers have to show for themselves.
#[derive(Default)]
struct Tally {
    conflicts: AtomicU64,
    repeats: AtomicU64,
    locked: AtomicU64,
}

/// A unit over two streams of which the second is mine, so that whole units can be told from torn ones: every event of
/// the unit carries its command in its metadata.
async fn unit_of_two(log: &dyn EventLog, shared: StreamId, own: StreamId, key: CommandKey) -> Unit {
    let versions = log
        .probe(None, &[shared, own], &[])
        .await
        .expect("the log can be read")
        .versions;
    let mut unit = Unit {
        runs: vec![run(shared, versions[0], 2), run(own, versions[1], 1)],
    };
    mark(&mut unit, key);
    unit
}

fn mark(unit: &mut Unit, key: CommandKey) {
    for event in unit.runs.iter_mut().flat_map(|run| &mut run.events) {
        let mut metadata = (*event.metadata).clone();
        metadata.command_id = key.command_id.to_string();
        event.metadata = Arc::new(metadata);
    }
    unit.runs[0].events[0].stamp = Some(stamp(key));
}

/// Gets one unit in: optimistically, at last under lock.
async fn get_in(log: &dyn EventLog, shared: StreamId, own: StreamId, tally: &Tally) -> CommandKey {
    let key = key();
    for _ in 0..3 {
        match append_one(log, unit_of_two(log, shared, own, key).await).await {
            UnitOutcome::Appended { .. } => return key,
            UnitOutcome::Conflict => tally.conflicts.fetch_add(1, Ordering::Relaxed),
            UnitOutcome::Repeated => panic!("a new key was taken for an old one"),
        };
    }
    let locked = log
        .lock(BTreeSet::from([shared.slice(), own.slice()]))
        .await
        .expect("it can be locked");
    let versions = locked
        .probe(None, &[shared, own], &[])
        .await
        .expect("the log can be read")
        .versions;
    let mut unit = Unit {
        runs: vec![run(shared, versions[0], 2), run(own, versions[1], 1)],
    };
    mark(&mut unit, key);
    let outcome = locked.commit(unit).await.expect("it can be written");
    assert!(
        matches!(outcome, UnitOutcome::Appended { .. }),
        "what is decided under lock lost: {outcome:?}"
    );
    tally.locked.fetch_add(1, Ordering::Relaxed);
    key
}

async fn write(log: &dyn EventLog, shared: &[StreamId], own: StreamId, tally: &Tally) -> Vec<CommandKey> {
    let mut keys = Vec::new();
    for round in 0..UNITS {
        keys.push(get_in(log, shared[round % shared.len()], own, tally).await);
        if round % 5 == 0 {
            let again = stamped(unit(room(), 0, 1), keys[round / 2]);
            assert_eq!(append_one(log, again).await, UnitOutcome::Repeated);
            tally.repeats.fetch_add(1, Ordering::Relaxed);
        }
    }
    keys
}

/// Follows a slice as it grows; what it sees never has a hole and never goes back.
async fn watch(log: &dyn EventLog, slice: Slice, done: &AtomicBool) -> u64 {
    let mut head = 0;
    loop {
        let last_round = done.load(Ordering::Acquire);
        for event in log.read_slice(slice, head).await.expect("the log can be read") {
            assert_eq!(event.slice_pos, head + 1, "a reader saw a hole in slice {slice}");
            head = event.slice_pos;
        }
        if last_round {
            return head;
        }
        tokio::task::yield_now().await;
    }
}

/// Positions dense, sequences dense, times rising, units whole, no hole ever seen by a reader, every command once.
pub async fn many_writers_leave_a_log_without_holes(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let log = &*store.log;
    let slice = room().slice();
    let shared: Vec<StreamId> = (0..STREAMS)
        .map(|index| if index % 2 == 0 { room_in(slice) } else { room() })
        .collect();
    let (tally, done) = (Tally::default(), AtomicBool::new(false));
    let writers = async {
        let keys = join_all((0..WRITERS).map(|_| write(log, &shared, room(), &tally))).await;
        done.store(true, Ordering::Release);
        keys.into_iter().flatten().collect::<Vec<_>>()
    };
    let (keys, seen) = tokio::join!(writers, watch(log, slice, &done));

    let heads = log.heads().await.expect("the log can be read");
    assert_eq!(seen, heads[slice.index()], "the reader saw everything");
    let events = check(log, &heads).await;
    assert_eq!(events.len(), WRITERS * UNITS * 3);
    let mut by_command: HashMap<&str, usize> = HashMap::new();
    for event in &events {
        *by_command.entry(&event.metadata.command_id).or_default() += 1;
    }
    for key in &keys {
        assert_eq!(
            by_command.get(key.command_id.to_string().as_str()),
            Some(&3),
            "a unit is torn or doubled"
        );
        let probe = log.probe(Some(*key), &[], &[]).await.expect("the log can be read");
        assert_eq!(probe.command.map(|command| command.answer), Some(stamp(*key).answer));
    }
    let repeats = tally.repeats.load(Ordering::Relaxed);
    assert!(repeats > 0 && keys.len() == WRITERS * UNITS);
    let (conflicts, locked) = (
        tally.conflicts.load(Ordering::Relaxed),
        tally.locked.load(Ordering::Relaxed),
    );
    assert!(conflicts > 0, "nobody was in anybody's way: {locked} locks");
}

/// The order of the whole log.
async fn check(log: &dyn EventLog, heads: &[u64; SLICES]) -> Vec<RecordedEvent> {
    let mut all = Vec::new();
    for slice in Slice::all() {
        let events = slice_events(log, slice).await;
        assert_eq!(events.len() as u64, heads[slice.index()]);
        assert!(
            events.windows(2).all(|pair| pair[0].ts_us < pair[1].ts_us),
            "times do not rise in slice {slice}"
        );
        all.extend(events);
    }
    let mut versions: HashMap<StreamId, u64> = HashMap::new();
    for event in &all {
        let version = versions.entry(event.stream).or_default();
        assert_eq!(event.sequence, *version + 1, "{} is not dense", event.stream);
        *version = event.sequence;
    }
    all
}

/// Whoever stops waiting finds out by its key; either way the log is in order and goes on.
pub async fn a_dropped_append_is_done_or_not(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let log = &*store.log;
    for round in 0..40_u64 {
        let (stream, key) = (room(), key());
        let written = stamped(
            Unit {
                runs: vec![run(stream, 0, 2), run(room(), 0, 1)],
            },
            key,
        );
        let wait = std::time::Duration::from_micros(round * 20);
        let _outcome_or_not = tokio::time::timeout(wait, log.append(vec![written])).await;
        // A turn of one's own comes after whatever was under way.
        let locked = log
            .lock(BTreeSet::from([stream.slice()]))
            .await
            .expect("it can be locked");
        let probe = locked
            .probe(Some(key), &[stream], &[])
            .await
            .expect("the log can be read");
        assert_eq!(probe.versions[0], if probe.command.is_some() { 2 } else { 0 });
        drop(locked);
    }
    let heads = log.heads().await.expect("the log can be read");
    check(log, &heads).await;
}
