//! What the outbox promises the relay.

use std::any::Any;
use std::sync::Arc;

use cocotalk_domain::id::UserId;
use cocotalk_domain::stream::{SLICES, Slice, StreamId};

use super::support::{PATIENCE, append, eventually, id, new_event, room, room_in, sealed, slice_events, unit};
use crate::port::event_log::{EventLog, Run, Unit};
use crate::port::outbox::{Lease, LogRecord, Outbox, SliceGroup};

/// A fresh log under test, and its outbox as two processes see it.
pub struct Relayed {
    /// The log.
    pub log: Arc<dyn EventLog>,
    /// The outbox of one process.
    pub outbox: Arc<dyn Outbox>,
    /// That of another one.
    pub neighbour: Arc<dyn Outbox>,
    /// What has to live as long as they do.
    pub keep: Box<dyn Any + Send + Sync>,
}

/// From the beginning of every slice.
fn beginning() -> Vec<(Slice, u64)> {
    Slice::all().map(|slice| (slice, 0)).collect()
}

async fn read(outbox: &dyn Outbox, after: &[(Slice, u64)]) -> Vec<LogRecord> {
    outbox.read_after(after).await.expect("the outbox can be read")
}

/// Everything after these positions, checked for order and holes on the way.
async fn read_all(outbox: &dyn Outbox, mut after: Vec<(Slice, u64)>) -> Vec<LogRecord> {
    let mut all = Vec::new();
    loop {
        let records = read(outbox, &after).await;
        if records.is_empty() {
            return all;
        }
        for record in records {
            let position = after.iter_mut().find(|(slice, _)| *slice == record.slice);
            let (slice, position) = position.expect("only slices that were asked for are answered");
            assert_eq!(record.slice_pos, *position + 1, "slice {slice} has a hole");
            *position = record.slice_pos;
            all.push(record);
        }
    }
}

async fn lead(outbox: &dyn Outbox, group: SliceGroup) -> Option<Box<dyn Lease>> {
    outbox.lead(group).await.expect("it can be asked")
}

/// Every event, byte for byte, and nothing twice.
pub async fn what_was_appended_is_read(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    for count in 1..=5 {
        append(&*relayed.log, unit(room(), 0, count)).await;
    }
    let records = read_all(&*relayed.outbox, beginning()).await;
    assert_eq!(records.len(), 15);
    for record in &records {
        let event = record.as_stored().recorded().expect("it is an event");
        let in_slice = slice_events(&*relayed.log, record.slice).await;
        let original = &in_slice[record.slice_pos as usize - 1];
        assert_eq!((event.stream, event.sequence), (original.stream, original.sequence));
        assert_eq!(
            (event.ts_us, event.metadata),
            (original.ts_us, Arc::clone(&original.metadata))
        );
        assert_eq!(event.event, original.event);
        let original = original.event.as_ref().expect("it can be read");
        assert_eq!(record.payload, original.payload());
        assert_eq!(
            (&*record.event_type, &*record.event_version),
            (original.name(), original.version())
        );
    }
}

/// Only what comes after the positions given, and only of the slices given.
pub async fn only_what_was_asked_for_is_read(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let (asked, other) = (room(), room());
    append(&*relayed.log, unit(asked, 0, 4)).await;
    append(&*relayed.log, unit(other, 0, 4)).await;
    let before = if asked.slice() == other.slice() { 8 } else { 4 };
    let records = read(&*relayed.outbox, &[(asked.slice(), before - 2)]).await;
    let positions: Vec<u64> = records.iter().map(|record| record.slice_pos).collect();
    assert_eq!(positions, [before - 1, before]);
    assert!(records.iter().all(|record| record.slice == asked.slice()));
    assert!(read(&*relayed.outbox, &[(asked.slice(), before)]).await.is_empty());
    assert!(read(&*relayed.outbox, &[(asked.slice(), before + 7)]).await.is_empty());
    assert!(read(&*relayed.outbox, &[]).await.is_empty());
}

/// A long slice comes in parts, and does not hide the others.
pub async fn a_long_slice_is_read_in_parts(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let long = room();
    let short = std::iter::repeat_with(room)
        .find(|room| room.slice() != long.slice())
        .expect("there are other slices");
    for part in 0..3 {
        append(&*relayed.log, unit(long, part * 1_000, 1_000)).await;
    }
    append(&*relayed.log, unit(short, 0, 1)).await;
    let first = read(&*relayed.outbox, &beginning()).await;
    let of_long = first.iter().filter(|record| record.slice == long.slice()).count();
    assert!((1..3_000).contains(&of_long), "{of_long} events at once");
    assert_eq!(first.len() - of_long, 1);
    assert_eq!(read_all(&*relayed.outbox, beginning()).await.len(), 3_001);
}

/// However large the next event is, it comes.
pub async fn a_large_event_is_read(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let stream = room();
    let mut events = Vec::new();
    for number in 1..=4 {
        let mut event = new_event(stream, number);
        if let cocotalk_domain::event::AnyEvent::Room(cocotalk_domain::room::RoomEvent::MessageSent(sent)) =
            &mut event.event
        {
            sent.body = sealed(UserId(id()), &"x".repeat(300_000));
        }
        events.push(event);
    }
    let run = Run {
        stream,
        slice: stream.slice(),
        after: 0,
        events,
    };
    append(&*relayed.log, Unit { runs: vec![run] }).await;
    let first = read(&*relayed.outbox, &[(stream.slice(), 0)]).await;
    assert!((1..4).contains(&first.len()), "{} large events at once", first.len());
    assert_eq!(read_all(&*relayed.outbox, beginning()).await.len(), 4);
}

/// While many append, whoever follows never meets a hole, and `appended` brings them to the end.
pub async fn whoever_follows_sees_no_hole(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let slice = room().slice();
    let streams: Vec<StreamId> = (0..8).map(|_| room_in(slice)).collect();
    let write = async |stream| {
        for version in 0..25 {
            append(&*relayed.log, unit(stream, version, 1)).await;
        }
    };
    let follow = async {
        let mut position = 0;
        while position < 200 {
            for record in read(&*relayed.outbox, &[(slice, position)]).await {
                assert_eq!(record.slice_pos, position + 1, "whoever follows met a hole");
                position = record.slice_pos;
            }
            let waited = tokio::time::timeout(PATIENCE, relayed.outbox.appended()).await;
            assert!(
                waited.is_ok(),
                "`appended` returns after the poll interval at the latest"
            );
        }
    };
    let writing = futures_util::future::join_all(streams.iter().map(|stream| write(*stream)));
    futures_util::future::join(writing, follow).await;
}

/// `heads` are those of the log.
pub async fn heads_are_those_of_the_log(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let heads = async || relayed.outbox.heads().await.expect("it can be read");
    assert_eq!(heads().await, [0; SLICES]);
    append(&*relayed.log, unit(room(), 0, 3)).await;
    assert_eq!(heads().await, relayed.log.heads().await.expect("it can be read"));
    assert_eq!(heads().await.iter().sum::<u64>(), 3);
}

/// What is noted is kept, for other processes too, and never lowered.
pub async fn progress_never_goes_back(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let slices: Vec<Slice> = Slice::all().collect();
    let progress = async || relayed.neighbour.progress().await.expect("it can be read");
    assert_eq!(progress().await, [0; SLICES]);
    let mut expected = [0; SLICES];
    for (noted, kept) in [([7, 9], [7, 9]), ([5, 12], [7, 12]), ([8, 3], [8, 12])] {
        let positions = [(slices[40], noted[0]), (slices[3], noted[1])];
        let saved = relayed.outbox.save_progress(&positions).await;
        saved.expect("it can be written");
        (expected[40], expected[3]) = (kept[0], kept[1]);
        assert_eq!(progress().await, expected);
    }
}

/// Of two that try one leads; other groups have leaders of their own.
pub async fn a_group_has_one_leader(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let groups: Vec<SliceGroup> = SliceGroup::all(4).collect();
    let mut first = lead(&*relayed.outbox, groups[1]).await.expect("nobody leads yet");
    assert!(first.is_held().await.expect("it can be asked"));
    for outbox in [&relayed.neighbour, &relayed.outbox] {
        assert!(lead(&**outbox, groups[1]).await.is_none(), "a group has two leaders");
    }
    let mut other = lead(&*relayed.neighbour, groups[2]).await.expect("that one is free");
    assert!(other.is_held().await.expect("it can be asked"));
    assert!(lead(&*relayed.outbox, groups[2]).await.is_none());
    assert!(first.is_held().await.expect("it can be asked"));
}

/// No two lead one slice, also where they group slices in different ways.
pub async fn a_slice_has_one_leader(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let coarse = SliceGroup { number: 1, of: 2 };
    let fine = SliceGroup { number: 3, of: 8 };
    let free = SliceGroup { number: 4, of: 8 };
    let _leader = lead(&*relayed.outbox, fine).await.expect("nobody leads yet");
    assert!(
        lead(&*relayed.neighbour, coarse).await.is_none(),
        "slice 3 has two leaders"
    );
    assert!(
        lead(&*relayed.neighbour, free).await.is_some(),
        "a candidate that failed holds nothing"
    );
}

/// Whoever gives it up, or goes, makes room.
pub async fn a_leader_that_goes_makes_room(fresh: impl AsyncFn() -> Relayed) {
    let relayed = fresh().await;
    let group = SliceGroup { number: 0, of: 1 };
    let leader = lead(&*relayed.outbox, group).await.expect("nobody leads yet");
    leader.release().await;
    let leader = lead(&*relayed.neighbour, group).await.expect("it was given up");
    drop(leader);
    eventually("the other one leads", async || {
        lead(&*relayed.outbox, group).await.is_some()
    })
    .await;
}
