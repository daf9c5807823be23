//! What happens when the server, or the way to it, is not well.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cocotalk_application::contract::support::{
    append, append_one, eventually, key, room, run, stamped, stream_events, unit,
};
use cocotalk_application::error::StoreError;
use cocotalk_application::port::event_log::{EventLog as _, LogReader as _, Unit, UnitOutcome};
use cocotalk_infra::postgres::{Database, PostgresEventLog, Settings};
use sqlx::Executor as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::opened::{Opened, end_connections};
use crate::proxy::{Proxy, Way};

/// The host and port of an address, and the address with `{host}` in their place.
pub(crate) fn host_of(url: &str) -> (String, String) {
    let (before, after) = url.split_once("://").expect("an address has a scheme");
    let (authority, path) = after.split_once('/').expect("an address names a database");
    let (user, host) = authority
        .rsplit_once('@')
        .map_or(("", authority), |(user, host)| (user, host));
    let user = if user.is_empty() {
        String::new()
    } else {
        format!("{user}@")
    };
    let port = if host.contains(':') { "" } else { ":5432" };
    (format!("{host}{port}"), format!("{before}://{user}{{host}}/{path}"))
}

/// A log whose way to the server goes through a proxy.
struct Behind {
    log: PostgresEventLog,
    proxy: Proxy,
    direct: Opened,
}

impl Behind {
    async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let direct = Opened::fresh().await;
        let (host, rest) = host_of(direct.settings.url.expose());
        let proxy = Proxy::before(host, &direct.tasks).await;
        let mut settings = direct.settings.clone();
        settings.url = rest.replace("{host}", &proxy.address.to_string()).as_str().into();
        change(&mut settings);
        let database = Database::open(&settings).await.expect("it is opened");
        let log = PostgresEventLog::new(database, &direct.tasks, CancellationToken::new());
        Self { log, proxy, direct }
    }
}

fn is_unavailable<T>(result: &Result<T, StoreError>) -> bool {
    matches!(result, Err(StoreError::Unavailable { .. }))
}

/// Appends until it works.
async fn append_at_last(log: &PostgresEventLog, unit: &Unit) {
    eventually("it can be written again", async || {
        match log.append(vec![unit.clone()]).await {
            // Written by a try whose answer was lost.
            Ok(outcomes) => outcomes[0] != UnitOutcome::Conflict,
            Err(StoreError::Unavailable { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_ended_in_the_middle_is_unavailable_and_made_anew() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let (stream, key) = (room(), key());
    append(&opened.log, unit(stream, 0, 1)).await;
    let mut holder = opened.administrator().await;
    holder
        .execute("BEGIN; SELECT 1 FROM slice_head FOR UPDATE")
        .await
        .expect("it may");
    let log = opened.log.clone();
    let written = stamped(unit(stream, 1, 1), key);
    let again = written.clone();
    let appending = TaskTracker::new().spawn(async move { log.append(vec![written]).await });
    eventually("it is ended", async || {
        end_connections(&mut administrator, "wait_event_type = 'Lock'").await > 0
    })
    .await;
    let ended = tokio::time::timeout(Duration::from_secs(5), appending)
        .await
        .expect("it is told at once");
    assert!(is_unavailable(&ended.expect("no task panics")));
    assert!(opened.log.fault().is_some());
    holder.execute("ROLLBACK").await.expect("it may");
    let probe = opened
        .log
        .probe(Some(key), &[stream], &[])
        .await
        .expect("it can be read");
    assert_eq!((probe.command, probe.versions), (None, vec![1]), "nothing was written");
    let outcome = append_one(&opened.log, again).await;
    assert!(matches!(outcome, UnitOutcome::Appended { .. }), "{outcome:?}");
    assert_eq!(opened.log.fault(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_connections_ended_are_made_anew() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let stream = room();
    for round in 0..3_u64 {
        let reads = (0..10).map(|_| opened.log.heads());
        futures_util::future::join_all(reads).await;
        append_at_last(&opened.log, &stamped(unit(stream, round, 1), key())).await;
        let held = opened
            .log
            .lock(BTreeSet::from([stream.slice()]))
            .await
            .expect("it can be locked");
        end_connections(&mut administrator, "true").await;
        let lost = held.commit(unit(stream, round + 1, 1)).await;
        assert!(is_unavailable(&lost), "{lost:?}");
        eventually("it can be read again", async || {
            opened.log.load(&stream, 0).await.is_ok()
        })
        .await;
    }
    append_at_last(&opened.log, &stamped(unit(stream, 3, 1), key())).await;
    assert_eq!(stream_events(&opened.log, stream).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_is_only_half_there_costs_its_deadline() {
    let behind = Behind::with(|settings| {
        (settings.statement_ms, settings.lock_ms, settings.connect_ms) = (500, 500, 1_000);
    })
    .await;
    let (log, stream) = (&behind.log, room());
    append(log, unit(stream, 0, 1)).await;
    let locked = log
        .lock(BTreeSet::from([room().slice()]))
        .await
        .expect("it can be locked");
    log.heads().await.expect("it can be read");
    behind.proxy.set(Way::Frozen);
    let started = Instant::now();
    let written = stamped(unit(stream, 1, 1), key());
    let (appended, read, committed) = tokio::join!(
        log.append(vec![written.clone()]),
        log.heads(),
        locked.commit(unit(room(), 0, 1)),
    );
    assert!(is_unavailable(&appended) && is_unavailable(&read) && is_unavailable(&committed));
    assert!(is_unavailable(&log.lock(BTreeSet::new()).await));
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    behind.proxy.set(Way::Open);
    append_at_last(log, &written).await;
    eventually("it can be read again", async || log.load(&stream, 0).await.is_ok()).await;
    let events = stream_events(&behind.direct.log, stream).await;
    assert_eq!(events.len(), 2, "it was written once");
    assert_eq!(
        behind
            .direct
            .log
            .heads()
            .await
            .expect("it can be read")
            .iter()
            .sum::<u64>(),
        2
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_was_away_is_found_again_although_nobody_asks() {
    let behind = Behind::with(|settings| settings.connect_ms = 500).await;
    let (log, stream) = (&behind.log, room());
    append(log, unit(stream, 0, 1)).await;
    behind.proxy.set(Way::Cut);
    eventually("nothing can be written", async || {
        is_unavailable(&log.append(vec![unit(stream, 1, 1)]).await)
    })
    .await;
    for _ in 0..20 {
        let started = Instant::now();
        assert!(is_unavailable(&log.append(vec![unit(stream, 1, 1)]).await));
        assert!(is_unavailable(&log.load(&stream, 0).await));
        assert!(
            started.elapsed() < Duration::from_secs(2),
            "whoever cannot be served is told at once"
        );
    }
    assert!(log.fault().is_some());
    behind.proxy.set(Way::Open);
    eventually("it is known to be well", async || log.fault().is_none()).await;
    append(log, unit(stream, 1, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_found_by_its_key() {
    let behind = Behind::with(|_| {}).await;
    let (stream, key) = (room(), key());
    append(&behind.log, unit(stream, 0, 1)).await;
    let mut holder = behind.direct.administrator().await;
    let mut administrator = behind.direct.administrator().await;
    holder
        .execute("BEGIN; SELECT 1 FROM slice_head FOR UPDATE")
        .await
        .expect("it may");
    let log = behind.log.clone();
    let written = stamped(unit(stream, 1, 1), key);
    let again = written.clone();
    let appending = TaskTracker::new().spawn(async move { log.append(vec![written]).await });
    let text = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    eventually("the server has it", async || {
        let count: i64 = sqlx::query_scalar(text)
            .fetch_one(&mut administrator)
            .await
            .expect("it may look");
        count > 0
    })
    .await;
    // The server carries it out, and nobody hears of it.
    behind.proxy.set(Way::Cut);
    assert!(is_unavailable(&appending.await.expect("no task panics")));
    holder.execute("ROLLBACK").await.expect("it may");
    behind.proxy.set(Way::Open);
    eventually("it can be looked up", async || {
        let probe = behind.log.probe(Some(key), &[], &[]).await;
        probe.is_ok_and(|probe| probe.command.is_some())
    })
    .await;
    append_at_last(&behind.log, &again).await;
    assert_eq!(stream_events(&behind.log, stream).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_for_too_long_is_lost() {
    let opened = Opened::with(|settings| settings.held_ms = 200).await;
    let stream = room();
    let locked = opened
        .log
        .lock(BTreeSet::from([stream.slice()]))
        .await
        .expect("it can be locked");
    // It waits until the server has given the lock up.
    append(&opened.log, unit(stream, 0, 1)).await;
    let late = locked.commit(unit(stream, 1, 1)).await;
    assert!(is_unavailable(&late), "{late:?}");
    assert_eq!(stream_events(&opened.log, stream).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_too_long_for_a_lock_is_told_so() {
    let opened = Opened::with(|settings| settings.lock_ms = 100).await;
    let (held, free) = (room(), room());
    let mut holder = opened.administrator().await;
    let slice = held.slice().index();
    let text = format!("BEGIN; SELECT 1 FROM slice_head WHERE slice = {slice} FOR UPDATE");
    holder.execute(text.as_str()).await.expect("it may");
    assert!(is_unavailable(&opened.log.append(vec![unit(held, 0, 1)]).await));
    assert!(is_unavailable(&opened.log.lock(BTreeSet::from([held.slice()])).await));
    if free.slice() != held.slice() {
        append(&opened.log, unit(free, 0, 1)).await;
    }
    assert_eq!(opened.log.fault(), None, "nothing is wrong with the server");
    holder.execute("ROLLBACK").await.expect("it may");
    append(&opened.log, unit(held, 0, 1)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_at_the_end_is_carried_out() {
    let opened = Opened::fresh().await;
    let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
    let log = PostgresEventLog::new(opened.database(), &tasks, stop.clone());
    let streams: Vec<_> = (0..50).map(|_| room()).collect();
    let appends = futures_util::future::join_all(streams.iter().map(|stream| log.append(vec![unit(*stream, 0, 1)])));
    let ended = async {
        tokio::task::yield_now().await;
        stop.cancel();
        tasks.close();
        tasks.wait().await;
    };
    let (appended, ()) = futures_util::future::join(appends, ended).await;
    for (stream, appended) in streams.iter().zip(appended) {
        let kept = stream_events(&opened.log, *stream).await.len();
        assert_eq!(
            kept,
            usize::from(appended.is_ok()),
            "what was answered is there, and nothing else"
        );
    }
    assert!(is_unavailable(
        &log.append(vec![Unit {
            runs: vec![run(room(), 0, 1)]
        }])
        .await
    ));
}
