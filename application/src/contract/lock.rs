//! What the log promises of decisions under lock.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cocotalk_domain::stream::{Slice, StreamId};

use super::Store;
use super::support::{PATIENCE, append, append_one, key, room, run, stamped, stream_events, unit};
use crate::port::event_log::{LockedLog, Unit, UnitOutcome};
use crate::projection::Projection;

type Projections = Vec<Arc<dyn Projection>>;

async fn lock(store: &Store, streams: &[StreamId]) -> Box<dyn LockedLog> {
    let slices: BTreeSet<Slice> = streams.iter().map(StreamId::slice).collect();
    store.log.lock(slices).await.expect("it can be locked")
}

/// The unit is appended, whole.
pub async fn what_is_decided_under_lock_is_appended(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (one, two) = (room(), room());
    append(&*store.log, unit(one, 0, 2)).await;
    let locked = lock(&store, &[one, two]).await;
    let version = locked.load(&one, 0).await.expect("it can be read").len() as u64;
    let unit = Unit {
        runs: vec![run(one, version, 1), run(two, 0, 3)],
    };
    let UnitOutcome::Appended { first_pos } = locked.commit(unit).await.expect("it can be written") else {
        panic!("what is decided under lock cannot lose");
    };
    assert_eq!(stream_events(&*store.log, one).await[2].slice_pos, first_pos[0]);
    assert_eq!(stream_events(&*store.log, two).await[0].slice_pos, first_pos[1]);
}

/// Every question under lock is answered as of now.
pub async fn what_is_read_under_lock_is_what_is_committed(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, key) = (room(), key());
    let mut written = stamped(unit(stream, 0, 2), key);
    let message = super::support::id();
    written.runs[0].events[1].subject = Some(message);
    for after in [0, 2] {
        if after > 0 {
            written = unit(stream, after, 1);
        }
        append(&*store.log, written.clone()).await;
        let locked = lock(&store, &[stream]).await;
        let head = store.log.heads().await.expect("it can be read")[stream.slice().index()];
        let probe = locked
            .probe(Some(key), &[stream], &[stream.slice()])
            .await
            .expect("it can be read");
        assert_eq!(probe.versions, [head]);
        assert_eq!(probe.heads, [head]);
        assert!(probe.command.is_some());
        assert_eq!(stream_events(&*locked, stream).await.len() as u64, head);
        assert_eq!(locked.about(message, 0).await.expect("it can be read").len(), 1);
    }
}

/// Whoever wants to append to a locked slice, or to lock it, waits.
pub async fn nobody_appends_while_a_lock_is_held(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let stream = room();
    let locked = lock(&store, &[stream]).await;
    let mut waiting = Box::pin(append_one(&*store.log, unit(stream, 0, 1)));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
    assert!(early.is_err(), "appended under somebody else's lock: {early:?}");
    let mut second = Box::pin(store.log.lock(BTreeSet::from([stream.slice()])));
    assert!(
        tokio::time::timeout(Duration::from_millis(100), &mut second)
            .await
            .is_err(),
        "locked twice"
    );
    let outcome = locked.commit(unit(stream, 0, 2)).await.expect("it can be written");
    assert!(matches!(outcome, UnitOutcome::Appended { .. }), "{outcome:?}");
    let outcome = tokio::time::timeout(PATIENCE, waiting).await.expect("the lock is gone");
    assert_eq!(outcome, UnitOutcome::Conflict);
    drop(tokio::time::timeout(PATIENCE, second).await.expect("the lock is gone"));
}

/// And others go on.
pub async fn a_dropped_lock_has_written_nothing(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let stream = room();
    let locked = lock(&store, &[stream]).await;
    assert!(stream_events(&*locked, stream).await.is_empty());
    drop(locked);
    let appended = tokio::time::timeout(PATIENCE, append(&*store.log, unit(stream, 0, 1))).await;
    assert_eq!(appended.expect("the lock is gone"), [1]);
}

/// A lock does not make a wrong version right.
pub async fn a_wrong_version_under_lock_is_a_conflict(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let stream = room();
    append(&*store.log, unit(stream, 0, 1)).await;
    let locked = lock(&store, &[stream]).await;
    assert_eq!(
        locked.commit(unit(stream, 0, 1)).await.expect("it can be written"),
        UnitOutcome::Conflict
    );
    append(&*store.log, unit(stream, 1, 1)).await;
}

/// Nor a key new.
pub async fn a_repeated_command_under_lock_is_found(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, key) = (room(), key());
    append(&*store.log, stamped(unit(stream, 0, 1), key)).await;
    let locked = lock(&store, &[stream]).await;
    let again = stamped(unit(stream, 1, 1), key);
    assert_eq!(
        locked.commit(again).await.expect("it can be written"),
        UnitOutcome::Repeated
    );
    assert_eq!(stream_events(&*store.log, stream).await.len(), 1);
}
