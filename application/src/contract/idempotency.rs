//! What the log promises of commands that come again.

use std::sync::Arc;

use futures_util::future::join_all;

use super::Store;
use super::support::{append, append_one, id, key, room, run, stamp, stamped, stream_events, unit};
use crate::port::event_log::{CommandKey, StoredCommand, Unit, UnitOutcome};
use crate::projection::Projection;

type Projections = Vec<Arc<dyn Projection>>;

/// The second time a unit is `Repeated` and nothing is written.
pub async fn a_command_is_appended_once(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, key) = (room(), key());
    append(&*store.log, stamped(unit(stream, 0, 1), key)).await;
    assert_eq!(
        append_one(&*store.log, stamped(unit(stream, 1, 1), key)).await,
        UnitOutcome::Repeated
    );
    assert_eq!(
        append_one(&*store.log, stamped(unit(room(), 0, 1), key)).await,
        UnitOutcome::Repeated
    );
    assert_eq!(stream_events(&*store.log, stream).await.len(), 1);
    append(&*store.log, unit(stream, 1, 1)).await;
}

/// Of two units of one call the first is appended.
pub async fn a_command_is_appended_once_within_one_call(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (first, second, third, key) = (room(), room(), room(), key());
    let units = vec![
        stamped(unit(first, 0, 1), key),
        stamped(unit(second, 0, 1), key),
        unit(third, 0, 1),
    ];
    let outcomes = store.log.append(units).await.expect("the log can be written");
    assert!(matches!(outcomes[0], UnitOutcome::Appended { .. }), "{outcomes:?}");
    assert_eq!(outcomes[1], UnitOutcome::Repeated);
    assert!(matches!(outcomes[2], UnitOutcome::Appended { .. }), "{outcomes:?}");
    assert!(stream_events(&*store.log, second).await.is_empty());
}

/// A retry was decided on the state before its first time: it is told that it is one, not that it came late.
pub async fn a_command_is_appended_once_even_on_an_old_version(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, key) = (room(), key());
    append(&*store.log, stamped(unit(stream, 0, 1), key)).await;
    assert_eq!(
        append_one(&*store.log, stamped(unit(stream, 0, 1), key)).await,
        UnitOutcome::Repeated
    );
}

/// A unit of several commands is repeated if one of them is, and writes nothing.
pub async fn any_command_of_a_unit_makes_it_repeated(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, other, old) = (room(), room(), key());
    append(&*store.log, stamped(unit(stream, 0, 1), old)).await;
    let mut unit = Unit {
        runs: vec![run(other, 0, 2), run(stream, 1, 2)],
    };
    unit.runs[0].events[0].stamp = Some(stamp(key()));
    unit.runs[1].events[1].stamp = Some(stamp(old));
    assert_eq!(append_one(&*store.log, unit).await, UnitOutcome::Repeated);
    assert!(stream_events(&*store.log, other).await.is_empty());
}

/// What lost was not carried out: its key is free.
pub async fn a_command_that_lost_may_come_again(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, key) = (room(), key());
    append(&*store.log, unit(stream, 0, 1)).await;
    assert_eq!(
        append_one(&*store.log, stamped(unit(stream, 0, 1), key)).await,
        UnitOutcome::Conflict
    );
    append(&*store.log, stamped(unit(stream, 1, 1), key)).await;
}

/// Keys are scoped to their actor.
pub async fn the_same_key_of_another_actor_is_another_command(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, key) = (room(), key());
    append(&*store.log, stamped(unit(stream, 0, 1), key)).await;
    append(
        &*store.log,
        stamped(unit(stream, 1, 1), CommandKey { actor: id(), ..key }),
    )
    .await;
}

/// What was answered is kept.
pub async fn a_probe_finds_a_command_and_its_answer(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let (stream, key) = (room(), key());
    let stamp = stamp(key);
    append(&*store.log, stamped(unit(stream, 0, 1), key)).await;
    let probe = store
        .log
        .probe(Some(key), &[stream], &[stream.slice()])
        .await
        .expect("the log can be read");
    assert_eq!(
        probe.command,
        Some(StoredCommand {
            request_mac: stamp.request_mac,
            answer: stamp.answer
        })
    );
    assert_eq!((probe.versions, probe.heads), (vec![1], vec![1]));
    let other = CommandKey { actor: id(), ..key };
    assert_eq!(
        store
            .log
            .probe(Some(other), &[], &[])
            .await
            .expect("the log can be read")
            .command,
        None
    );
}

/// However many ask at once.
pub async fn of_many_at_the_same_time_one_is_appended(fresh: impl AsyncFn(Projections) -> Store) {
    let store = fresh(Vec::new()).await;
    let key = key();
    let appends = (0..50).map(|_| append_one(&*store.log, stamped(unit(room(), 0, 1), key)));
    let outcomes = join_all(appends).await;
    let appended = outcomes
        .iter()
        .filter(|outcome| matches!(outcome, UnitOutcome::Appended { .. }))
        .count();
    assert_eq!(appended, 1, "{outcomes:?}");
    assert_eq!(
        outcomes
            .iter()
            .filter(|outcome| **outcome == UnitOutcome::Repeated)
            .count(),
        49
    );
}
