//! What the feed promises.

use std::collections::HashMap;
use std::sync::Arc;

use cocotalk_domain::id::UserId;
use cocotalk_domain::number::{Cnt, Seq};
use cocotalk_domain::stream::Slice;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::Store;
use super::script::Script;
use super::support::{PATIENCE, append, append_one, id, room, room_id, room_in, stream_events, unit};
use crate::port::event_log::UnitOutcome;
use crate::port::live::Committed;
use crate::projection::Projection;
use crate::row::RowWrite;

type Projections = Vec<Arc<dyn Projection>>;

async fn next(told: &mut Receiver<Committed>) -> Committed {
    let next = tokio::time::timeout(PATIENCE, told.recv()).await;
    next.expect("what is committed is told").expect("nobody is behind")
}

/// What is told can be read from the log.
pub async fn what_is_told_is_in_the_log(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let mut told = store.feed.subscribe();
    let stream = room();
    append(&*store.log, unit(stream, 0, 3)).await;
    let commit = next(&mut told).await;
    let logged = stream_events(&*store.log, stream).await;
    assert_eq!(commit.len(), 3);
    for (told, logged) in commit.iter().zip(&logged) {
        assert_eq!((told.stream, told.sequence), (logged.stream, logged.sequence));
        assert_eq!(
            (told.slice, told.slice_pos, told.ts_us),
            (logged.slice, logged.slice_pos, logged.ts_us)
        );
        assert_eq!(told.event, logged.event);
        assert_eq!(told.metadata, logged.metadata);
    }
}

/// Whoever is told of an event sees its rows.
pub async fn what_is_told_is_in_the_read_model(fresh: impl AsyncFn(Projections) -> Store) {
    let script = Script::new("script");
    let store = fresh(vec![Arc::<Script>::clone(&script)]).await;
    let mut told = store.feed.subscribe();
    let (stream, user) = (room(), UserId(id()));
    let room_id = room_id(stream);
    for number in 1..=20 {
        let row = RowWrite::Read {
            room_id,
            user_id: user,
            read_seq: Seq(number),
            read_cnt: Cnt(number),
        };
        script.write(&*store.log, stream, vec![row]).await;
        let commit = next(&mut told).await;
        let read = store.reads.user_read(user, room_id).await.expect("it can be read");
        assert_eq!(read.map(|read| read.read_seq), Some(Seq(number)));
        let at = store.reads.checkpoints("script").await.expect("it can be read")[stream.slice().index()];
        assert!(at >= commit[0].slice_pos, "the checkpoint is behind what was told");
    }
}

/// Positions of a slice are told in order, without holes.
pub async fn a_slice_is_told_in_order(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let mut told = store.feed.subscribe();
    let slice = room().slice();
    let rooms: Vec<_> = (0..8).map(|_| room_in(slice)).chain((0..8).map(|_| room())).collect();
    let appends = rooms.iter().map(|stream| async {
        for after in 0..10 {
            append(&*store.log, unit(*stream, after, 1)).await;
        }
    });
    futures_util::future::join_all(appends).await;
    let mut heads: HashMap<Slice, u64> = HashMap::new();
    let mut count = 0;
    while count < rooms.len() * 10 {
        for event in next(&mut told).await.iter() {
            let head = heads.entry(event.slice).or_default();
            assert_eq!(event.slice_pos, *head + 1);
            *head = event.slice_pos;
            count += 1;
        }
    }
}

/// Only what is durable is told.
pub async fn what_lost_is_not_told(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, other) = (room(), room());
    append(&*store.log, unit(stream, 0, 1)).await;
    let mut told = store.feed.subscribe();
    assert_eq!(append_one(&*store.log, unit(stream, 0, 1)).await, UnitOutcome::Conflict);
    append(&*store.log, unit(other, 0, 1)).await;
    assert_eq!(next(&mut told).await[0].stream, other);
}

/// A listener that does not listen does not hold anybody up, and learns that it missed something.
pub async fn who_falls_behind_is_told_so(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let mut told = store.feed.subscribe();
    let stream = room();
    for after in 0..1_100 {
        append(&*store.log, unit(stream, after, 1)).await;
    }
    assert!(
        matches!(told.recv().await, Err(RecvError::Lagged(1..))),
        "a listener can be 1,024 commits behind"
    );
    let first = next(&mut told).await[0].slice_pos;
    assert!(first > 1);
}
