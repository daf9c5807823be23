//! What goes together, and what becomes of the rest when one of it fails.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cocotalk_application::contract::support::{
    append, append_one, eventually, key, room, room_in, run, stamped, stream_events, unit,
};
use cocotalk_application::port::event_log::{CommandKey, EventLog as _, LogReader as _, Unit, UnitOutcome};
use cocotalk_domain::stream::StreamId;
use cocotalk_infra::postgres::PostgresEventLog;
use futures_util::future::{join, join_all};
use sqlx::error::DatabaseError;
use sqlx::{Executor as _, PgConnection};
use tokio_util::task::TaskTracker;

use crate::opened::Opened;
use crate::proxy::Proxy;

/// How many statements wait for somebody's lock.
async fn waiting(administrator: &mut PgConnection) -> i64 {
    let text = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND state = 'active' AND wait_event_type = 'Lock'";
    let waiting = sqlx::query_scalar(text).fetch_one(administrator);
    waiting.await.expect("it may look")
}

/// Waits until so many statements wait.
async fn until_waiting(administrator: &mut PgConnection, count: i64) {
    eventually("so many statements wait", async || {
        waiting(administrator).await >= count
    })
    .await;
}

/// A task that appends one unit.
fn start(log: &PostgresEventLog, unit: Unit) -> tokio::task::JoinHandle<Result<UnitOutcome, String>> {
    let log = log.clone();
    TaskTracker::new().spawn(async move {
        match log.append(vec![unit]).await {
            Ok(mut outcomes) => Ok(outcomes.remove(0)),
            Err(error) => Err(cocotalk_application::error::chain(&error)),
        }
    })
}

/// Appends as another process would that is in the middle of it: a transaction that has not ended.
async fn append_by_hand(connection: &mut PgConnection, stream: StreamId, key: CommandKey) {
    try_by_hand(connection, stream, key).await.expect("it may");
}

async fn try_by_hand(connection: &mut PgConnection, stream: StreamId, key: CommandKey) -> Result<(), sqlx::Error> {
    let text = "SELECT append_batch('{1}', $1, ARRAY['room'], $2, '{1}', '{1}', '{1}', '{0}', ARRAY['x'], ARRAY['1'], ARRAY['{}'], \
         ARRAY['{}'], ARRAY[NULL::uuid], ARRAY[''::bytea], $3, $4, ARRAY[''::bytea], ARRAY['{}'])";
    sqlx::query(text)
        .bind(vec![stream.slice().index() as i16])
        .bind(vec![stream.aggregate_id()])
        .bind(vec![key.actor])
        .bind(vec![key.command_id.0])
        .execute(connection)
        .await?;
    Ok(())
}

fn other_slice(than: &[StreamId]) -> StreamId {
    std::iter::repeat_with(room)
        .find(|room| than.iter().all(|other| other.slice() != room.slice()))
        .expect("there are other slices")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_goes_together() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let slice = room().slice();
    let held = opened
        .log
        .lock(BTreeSet::from([slice]))
        .await
        .expect("it can be locked");
    // The writer of the slice is on its way and waits; everything else gathers behind it.
    let mut appends = vec![start(&opened.log, unit(room_in(slice), 0, 1))];
    until_waiting(&mut administrator, 1).await;
    appends.extend((0..100).map(|_| start(&opened.log, unit(room_in(slice), 0, 1))));
    tokio::task::yield_now().await;
    drop(held);
    for appended in join_all(appends).await {
        let outcome = appended.expect("no task panics").expect("it can be written");
        assert!(matches!(outcome, UnitOutcome::Appended { .. }), "{outcome:?}");
    }
    let (events, commits): (i64, i64) = sqlx::query_as("SELECT count(*), count(DISTINCT xmin::text) FROM events")
        .fetch_one(&mut administrator)
        .await
        .expect("it may look");
    assert_eq!(events, 101);
    assert!(commits <= 12, "{commits} commits for {events} events");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_that_cannot_be_stored_fails_alone() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let slice = room().slice();
    let (good, bad, last) = (room_in(slice), room_in(slice), room_in(slice));
    let mut unstorable = stamped(unit(bad, 0, 1), key());
    let stamp = unstorable.runs[0].events[0].stamp.as_mut().expect("it is stamped");
    stamp.answer = Arc::from("this is no JSON");
    let held = opened
        .log
        .lock(BTreeSet::from([slice]))
        .await
        .expect("it can be locked");
    let mut appends = vec![start(&opened.log, unit(room_in(slice), 0, 1))];
    until_waiting(&mut administrator, 1).await;
    appends.extend([unit(good, 0, 2), unstorable, unit(last, 0, 1)].map(|unit| start(&opened.log, unit)));
    tokio::task::yield_now().await;
    drop(held);
    let outcomes: Vec<bool> = join_all(appends)
        .await
        .into_iter()
        .map(|done| done.expect("no task panics").is_ok())
        .collect();
    assert_eq!(outcomes, [true, true, false, true]);
    assert_eq!(stream_events(&opened.log, good).await.len(), 2);
    assert!(stream_events(&opened.log, bad).await.is_empty());
    assert_eq!(opened.log.fault(), None, "nothing is wrong with the server");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_being_used_in_another_slice_is_repeated() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let mut other = opened.administrator().await;
    for commits in [true, false] {
        let (theirs, key) = (room(), key());
        let ours = other_slice(&[theirs]);
        let neighbour = room_in(ours.slice());
        other.execute("BEGIN").await.expect("it may");
        append_by_hand(&mut other, theirs, key).await;
        let log = opened.log.clone();
        let units = vec![unit(neighbour, 0, 1), stamped(unit(ours, 0, 1), key)];
        let appending = TaskTracker::new().spawn(async move { log.append(units).await });
        until_waiting(&mut administrator, 1).await;
        other
            .execute(if commits { "COMMIT" } else { "ROLLBACK" })
            .await
            .expect("it may");
        let outcomes = appending.await.expect("no task panics").expect("it can be written");
        assert!(matches!(outcomes[0], UnitOutcome::Appended { .. }), "{outcomes:?}");
        assert_eq!(outcomes[1] == UnitOutcome::Repeated, commits, "{outcomes:?}");
        assert_eq!(stream_events(&opened.log, ours).await.len(), usize::from(!commits));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_is_being_used_in_another_slice_is_repeated_under_lock_too() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let mut other = opened.administrator().await;
    let (theirs, key) = (room(), key());
    let ours = other_slice(&[theirs]);
    other.execute("BEGIN").await.expect("it may");
    append_by_hand(&mut other, theirs, key).await;
    let locked = opened
        .log
        .lock(BTreeSet::from([ours.slice()]))
        .await
        .expect("it can be locked");
    let committing = TaskTracker::new().spawn(locked.commit(stamped(unit(ours, 0, 1), key)));
    until_waiting(&mut administrator, 1).await;
    other.execute("COMMIT").await.expect("it may");
    let outcome = committing.await.expect("no task panics").expect("it can be written");
    assert_eq!(outcome, UnitOutcome::Repeated);
    append(&opened.log, unit(ours, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_waits_in_a_circle_goes_again() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let mut other = opened.administrator().await;
    let (one, two) = (key(), key());
    let a = room();
    let b = other_slice(&[a]);
    let c = other_slice(&[a, b]);
    let d = other_slice(&[a, b, c]);
    // We find out first, and not the other one.
    other
        .execute("SET deadlock_timeout = '30s'; BEGIN")
        .await
        .expect("it may");
    append_by_hand(&mut other, a, one).await;
    let log = opened.log.clone();
    let units = vec![stamped(unit(b, 0, 1), two), stamped(unit(c, 0, 1), one)];
    let appending = TaskTracker::new().spawn(async move { log.append(units).await });
    until_waiting(&mut administrator, 1).await;
    let theirs = try_by_hand(&mut other, d, two).await;
    // We lose and go again, unit by unit. Whoever comes first to the second key then has it.
    let (end, is_expected): (_, fn(&UnitOutcome) -> bool) = match theirs {
        Ok(()) => ("COMMIT", |outcome| *outcome == UnitOutcome::Repeated),
        Err(error)
            if error
                .as_database_error()
                .is_some_and(DatabaseError::is_unique_violation) =>
        {
            ("ROLLBACK", |outcome| matches!(outcome, UnitOutcome::Appended { .. }))
        }
        Err(other) => panic!("{other}"),
    };
    other.execute(end).await.expect("it may");
    let outcomes = appending.await.expect("no task panics").expect("it can be written");
    assert!(outcomes.iter().all(is_expected), "after {end}: {outcomes:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn units_of_one_call_are_decided_in_order() {
    let opened = Opened::fresh().await;
    let (stream, other, key) = (room(), room(), key());
    let demands = |after| Unit {
        runs: vec![run(room(), 0, 1), run(stream, after, 0)],
    };
    append(&opened.log, unit(stream, 0, 1)).await;
    let units = vec![
        demands(1),                       // it is there
        unit(stream, 1, 1),               // nobody has moved it yet
        demands(1),                       // now somebody has
        demands(2),                       // and this one knows
        unit(stream, 1, 1),               // this one does not
        stamped(unit(stream, 9, 1), key), // a loser's key is free
        stamped(unit(other, 0, 1), key),
        stamped(unit(room(), 0, 1), key),
    ];
    let outcomes = opened.log.append(units).await.expect("it can be written");
    let names: Vec<&str> = outcomes
        .iter()
        .map(|outcome| match outcome {
            UnitOutcome::Appended { .. } => "appended",
            UnitOutcome::Conflict => "conflict",
            UnitOutcome::Repeated => "repeated",
        })
        .collect();
    let expected = [
        "appended", "appended", "conflict", "appended", "conflict", "conflict", "appended", "repeated",
    ];
    assert_eq!(names, expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demand_alone_writes_nothing() {
    let opened = Opened::fresh().await;
    let stream = room();
    append(&opened.log, unit(stream, 0, 2)).await;
    let demand = |after| Unit {
        runs: vec![run(stream, after, 0)],
    };
    assert_eq!(append_one(&opened.log, demand(1)).await, UnitOutcome::Conflict);
    let kept = append_one(&opened.log, demand(2)).await;
    assert!(matches!(kept, UnitOutcome::Appended { .. }), "{kept:?}");
    assert_eq!(opened.log.heads().await.expect("it can be read").iter().sum::<u64>(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_leave_no_hole() {
    let opened = Opened::fresh().await;
    let neighbour = opened.neighbour().await;
    let slice = room().slice();
    let shared: Vec<StreamId> = (0..3).map(|_| room_in(slice)).collect();
    let write = async |log: &PostgresEventLog| {
        let mut conflicts = 0;
        for round in 0..60 {
            let stream = shared[round % 3];
            loop {
                let versions = log.probe(None, &[stream], &[]).await.expect("it can be read").versions;
                match append_one(log, unit(stream, versions[0], 2)).await {
                    UnitOutcome::Appended { .. } => break,
                    UnitOutcome::Conflict => conflicts += 1,
                    UnitOutcome::Repeated => panic!("there is no key"),
                }
            }
        }
        conflicts
    };
    let (here, there) = join(write(&opened.log), write(&neighbour)).await;
    assert!(here + there > 0, "they were never in each other's way");
    let events = cocotalk_application::contract::support::slice_events(&opened.log, slice).await;
    assert_eq!(events.len(), 240);
    assert!(events.windows(2).all(|pair| pair[0].ts_us < pair[1].ts_us));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_append_is_one_round_trip() {
    let direct = Opened::fresh().await;
    let server = direct.settings.url.expose().to_owned();
    let (host, rest) = crate::faults::host_of(&server);
    let proxy = Proxy::before(host.clone(), &direct.tasks).await;
    let mut settings = direct.settings.clone();
    settings.url = rest.replace("{host}", &proxy.address.to_string()).as_str().into();
    let database = cocotalk_infra::postgres::Database::open(&settings)
        .await
        .expect("it is opened");
    let log = PostgresEventLog::new(database, &direct.tasks, tokio_util::sync::CancellationToken::new());
    let stream = room();
    // Connections are open, statements prepared, and the bell has rung.
    for version in 0..6 {
        append(&log, unit(stream, version, 1)).await;
    }
    let mut before = proxy.sent();
    eventually("the bell has rung", async || {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let now = proxy.sent();
        std::mem::replace(&mut before, now.clone()) == now
    })
    .await;
    append(&log, unit(stream, 6, 1)).await;
    let after = proxy.sent();
    let more: Vec<usize> = after
        .iter()
        .zip(&before)
        .map(|(after, before)| after - before)
        .collect();
    assert_eq!(after.len(), before.len(), "a connection was opened");
    assert!(
        more.iter().all(|sent| *sent <= 1),
        "something was sent twice on a connection: {more:?}"
    );
    assert!(
        (1..=2).contains(&more.iter().sum::<usize>()),
        "one sends the batch and one rings: {more:?}"
    );
}
