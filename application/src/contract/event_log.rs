//! What the log promises of order, units and reading.

use std::sync::Arc;

use cocotalk_domain::id::{RoomId, UserId};
use cocotalk_domain::stream::{SLICES, Slice, StreamId};

use super::Store;
use super::support::{
    append, append_one, assert_same, id, key, new_event, room, room_in, run, slice_events, stamped, stream_events, unit,
};
use crate::port::event_log::{PAGE_EVENTS, Run, Snapshot, Unit, UnitOutcome};
use crate::projection::Projection;

type Projections = Vec<Arc<dyn Projection>>;

/// Every field of an event comes back, in the order of its stream.
pub async fn what_was_appended_is_read_back(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let seat = StreamId::Seat(RoomId(id()), UserId(id()));
    for stream in [room(), seat] {
        let written = stamped(unit(stream, 0, 3), key());
        let pos = append(&*store.log, written.clone()).await[0];
        let events = stream_events(&*store.log, stream).await;
        assert_eq!(events.len(), 3);
        for (index, (event, new)) in events.iter().zip(&written.runs[0].events).enumerate() {
            assert_same(event, new);
            assert_eq!((event.stream, event.slice), (stream, stream.slice()));
            assert_eq!(event.sequence, index as u64 + 1);
            assert_eq!(event.slice_pos, pos + index as u64);
        }
        let later = store.log.load(&stream, 2).await.expect("the log can be read");
        assert_eq!(later.iter().map(|event| event.sequence).collect::<Vec<_>>(), [3]);
    }
}

/// Positions are 1, 2, 3 ... in every slice, sequences in every stream.
pub async fn positions_and_sequences_are_dense(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let slice = room().slice();
    let rooms = [room_in(slice), room_in(slice), room_in(slice)];
    for round in 0..5 {
        for stream in rooms {
            append(&*store.log, unit(stream, round * 2, 2)).await;
        }
    }
    assert_eq!(slice_events(&*store.log, slice).await.len(), 30);
    for stream in rooms {
        let sequences: Vec<u64> = stream_events(&*store.log, stream)
            .await
            .iter()
            .map(|event| event.sequence)
            .collect();
        assert_eq!(sequences, (1..=10).collect::<Vec<u64>>());
    }
}

/// `ts_us` rises strictly along a slice, and is a time.
pub async fn times_rise_in_a_slice(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let stream = room();
    append(&*store.log, unit(stream, 0, 50)).await;
    append(&*store.log, unit(stream, 50, 50)).await;
    let events = slice_events(&*store.log, stream.slice()).await;
    assert!(events.windows(2).all(|pair| pair[0].ts_us < pair[1].ts_us));
    assert!(
        events[0].ts_us > 1_700_000_000_000_000,
        "{} microseconds are not now",
        events[0].ts_us
    );
}

/// One call returns at most a page; the next one goes on.
pub async fn long_streams_are_read_in_pages(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let stream = room();
    let count = PAGE_EVENTS as u64 + 7;
    append(&*store.log, unit(stream, 0, count)).await;
    let first = store.log.load(&stream, 0).await.expect("the log can be read");
    assert_eq!(first.len(), PAGE_EVENTS);
    let sequences: Vec<u64> = stream_events(&*store.log, stream)
        .await
        .iter()
        .map(|event| event.sequence)
        .collect();
    assert_eq!(sequences, (1..=count).collect::<Vec<u64>>());
}

/// The same of slices.
pub async fn long_slices_are_read_in_pages(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let slice = room().slice();
    let count = PAGE_EVENTS as u64 / 2 + 7;
    for stream in [room_in(slice), room_in(slice)] {
        append(&*store.log, unit(stream, 0, count)).await;
    }
    let first = store.log.read_slice(slice, 0).await.expect("the log can be read");
    assert_eq!(first.len(), PAGE_EVENTS);
    assert_eq!(slice_events(&*store.log, slice).await.len() as u64, count * 2);
}

/// Events with a subject are found by it, in order, and no others.
pub async fn events_about_a_message_are_found(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, message) = (room(), id());
    let mut written = unit(stream, 0, 5);
    for index in [1, 3] {
        written.runs[0].events[index].subject = Some(message);
    }
    written.runs[0].events[2].subject = Some(id());
    append(&*store.log, written).await;
    for (after, found) in [
        (0, vec![2, 4]),
        (1, vec![2, 4]),
        (2, vec![4]),
        (3, vec![4]),
        (4, vec![]),
    ] {
        let about = store.log.about(message, after).await.expect("the log can be read");
        let sequences: Vec<u64> = about.iter().map(|event| event.sequence).collect();
        assert_eq!(sequences, found, "after {after}");
    }
    assert!(store.log.about(id(), 0).await.expect("the log can be read").is_empty());
}

/// However many there are.
pub async fn many_events_about_a_message_are_read_in_pages(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, message) = (room(), id());
    let count = PAGE_EVENTS as u64 + 7;
    let mut written = unit(stream, 0, count);
    written.runs[0]
        .events
        .iter_mut()
        .for_each(|event| event.subject = Some(message));
    append(&*store.log, written).await;
    let first = store.log.about(message, 0).await.expect("the log can be read");
    assert_eq!(first.len(), PAGE_EVENTS);
    let rest = store.log.about(message, PAGE_EVENTS as u64).await;
    let rest = rest.expect("the log can be read");
    let sequences: Vec<u64> = rest.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, (PAGE_EVENTS as u64 + 1..=count).collect::<Vec<_>>());
}

/// A run whose stream has moved past it is a conflict, and writes nothing.
pub async fn a_run_on_an_old_version_is_a_conflict(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let stream = room();
    append(&*store.log, unit(stream, 0, 2)).await;
    for after in [0, 1] {
        assert_eq!(
            append_one(&*store.log, unit(stream, after, 1)).await,
            UnitOutcome::Conflict
        );
    }
    assert_eq!(stream_events(&*store.log, stream).await.len(), 2);
    append(&*store.log, unit(stream, 2, 1)).await;
}

/// A run beyond the head would leave a hole.
pub async fn a_run_beyond_the_head_is_a_conflict(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let stream = room();
    assert_eq!(append_one(&*store.log, unit(stream, 1, 1)).await, UnitOutcome::Conflict);
    append(&*store.log, unit(stream, 0, 1)).await;
    assert_eq!(append_one(&*store.log, unit(stream, 2, 1)).await, UnitOutcome::Conflict);
    assert_eq!(stream_events(&*store.log, stream).await.len(), 1);
}

/// One losing run loses the unit.
pub async fn a_unit_is_appended_whole_or_not_at_all(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (moved, other, third) = (room(), room(), room());
    append(&*store.log, unit(moved, 0, 1)).await;
    let heads = store.log.heads().await.expect("the log can be read");
    let losing = Unit {
        runs: vec![run(other, 0, 2), run(moved, 0, 1), run(third, 0, 1)],
    };
    assert_eq!(append_one(&*store.log, losing).await, UnitOutcome::Conflict);
    assert_eq!(
        store.log.heads().await.expect("the log can be read"),
        heads,
        "nothing was written"
    );
    for stream in [other, third] {
        assert!(stream_events(&*store.log, stream).await.is_empty());
    }
    append(
        &*store.log,
        Unit {
            runs: vec![run(other, 0, 2), run(moved, 1, 1), run(third, 0, 1)],
        },
    )
    .await;
    assert_eq!(stream_events(&*store.log, other).await.len(), 2);
}

/// Units of one call do not depend on each other.
pub async fn a_losing_unit_leaves_the_others(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let slice = room().slice();
    let (moved, first, last) = (room_in(slice), room_in(slice), room_in(slice));
    append(&*store.log, unit(moved, 0, 1)).await;
    let units = vec![unit(first, 0, 2), unit(moved, 0, 3), unit(last, 0, 1)];
    let outcomes = store.log.append(units).await.expect("the log can be written");
    let appended = |first_pos| UnitOutcome::Appended {
        first_pos: vec![first_pos],
    };
    assert_eq!(outcomes, [appended(2), UnitOutcome::Conflict, appended(4)]);
    assert_eq!(slice_events(&*store.log, slice).await.len(), 4);
}

/// A run is not bounded by what a store finds convenient.
pub async fn a_run_may_hold_many_events(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (one, two) = (room(), room());
    append(
        &*store.log,
        Unit {
            runs: vec![run(one, 0, 300), run(two, 0, 213)],
        },
    )
    .await;
    assert_eq!(stream_events(&*store.log, one).await.len(), 300);
    assert_eq!(stream_events(&*store.log, two).await.len(), 213);
}

/// `first_pos` names the first event of each run, in the order of the runs, also where they share a slice.
pub async fn first_positions_come_in_the_order_of_the_runs(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let slice = room().slice();
    let streams = [room_in(slice), room(), room_in(slice)];
    let runs: Vec<Run> = streams.iter().map(|stream| run(*stream, 0, 2)).collect();
    let first_pos = append(&*store.log, Unit { runs }).await;
    for (stream, pos) in streams.into_iter().zip(first_pos) {
        assert_eq!(stream_events(&*store.log, stream).await[0].slice_pos, pos);
    }
}

/// `heads` are the positions of the newest events, 0 where there is none.
pub async fn heads_are_those_of_every_slice(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    assert_eq!(store.log.heads().await.expect("the log can be read"), [0; SLICES]);
    let mut expected = [0; SLICES];
    for count in 1..=5 {
        let stream = room();
        append(&*store.log, unit(stream, 0, count)).await;
        expected[stream.slice().index()] += count;
    }
    assert_eq!(store.log.heads().await.expect("the log can be read"), expected);
    for slice in Slice::all() {
        assert_eq!(
            slice_events(&*store.log, slice).await.len() as u64,
            expected[slice.index()]
        );
    }
}

/// A probe answers in the order asked, 0 for what is not there, and for many at once.
pub async fn a_probe_sees_versions_and_heads(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (long, short, absent) = (room(), room(), room());
    append(&*store.log, unit(long, 0, 5)).await;
    append(&*store.log, unit(short, 0, 2)).await;
    let heads = store.log.heads().await.expect("the log can be read");
    let slices = [short.slice(), long.slice()];
    let probe = store
        .log
        .probe(None, &[short, absent, long], &slices)
        .await
        .expect("the log can be read");
    assert_eq!(probe.command, None);
    assert_eq!(probe.versions, [2, 0, 5]);
    assert_eq!(probe.heads, slices.map(|slice| heads[slice.index()]));

    let many: Vec<StreamId> = std::iter::repeat_with(room).take(1_500).chain([long]).collect();
    let probe = store
        .log
        .probe(Some(key()), &many, &[])
        .await
        .expect("the log can be read");
    assert_eq!(probe.versions.iter().sum::<u64>(), 5);
    assert_eq!((probe.versions.len(), probe.versions[1_500]), (1_501, 5));
}

/// Of a stream's snapshots of one shape the newest is kept; another shape is another snapshot.
pub async fn the_newest_snapshot_of_a_shape_is_kept(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let stream = room();
    let snapshot = |sequence, state_version| {
        let state = format!("state {sequence} of shape {state_version}").into_bytes();
        Snapshot {
            sequence,
            state_version,
            state,
        }
    };
    assert_eq!(store.log.snapshot(&stream, 1).await.expect("it can be read"), None);
    for kept in [snapshot(500, 1), snapshot(1_000, 1), snapshot(700, 1), snapshot(100, 2)] {
        store.log.save_snapshot(&stream, kept).await.expect("it can be written");
    }
    assert_eq!(
        store.log.snapshot(&stream, 1).await.expect("it can be read"),
        Some(snapshot(1_000, 1))
    );
    assert_eq!(
        store.log.snapshot(&stream, 2).await.expect("it can be read"),
        Some(snapshot(100, 2))
    );
    assert_eq!(store.log.snapshot(&stream, 3).await.expect("it can be read"), None);
    assert_eq!(store.log.snapshot(&room(), 1).await.expect("it can be read"), None);
}

/// No units, no outcomes, no events.
pub async fn nothing_is_appended_by_an_empty_call(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    assert_eq!(store.log.append(Vec::new()).await.expect("the log can be written"), []);
    assert_eq!(store.log.heads().await.expect("the log can be read"), [0; SLICES]);
    let stream = room();
    let event = new_event(stream, 1);
    let run = Run {
        stream,
        slice: stream.slice(),
        after: 0,
        events: vec![event],
    };
    assert_eq!(append(&*store.log, Unit { runs: vec![run] }).await, [1]);
}
