//! Who leads when connections die, and what wakes the relay.

use std::time::{Duration, Instant};

use cocotalk_application::contract::support::{append, eventually, room, unit};
use cocotalk_application::port::outbox::{Outbox as _, SliceGroup};
use cocotalk_infra::postgres::{Database, PostgresOutbox};
use sqlx::PgConnection;

use crate::opened::{Opened, end_connections};

const ALL: SliceGroup = SliceGroup { number: 0, of: 1 };

/// Ends the connections of leaders.
async fn end_leaders(administrator: &mut PgConnection) -> usize {
    let text = "SELECT pg_terminate_backend(pid) FROM (SELECT DISTINCT pid FROM pg_locks \
         WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())) l";
    let ended = sqlx::query(text).fetch_all(administrator).await;
    ended.expect("the server does it").len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_leads_when_the_leader_is_lost() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let (one, two) = (PostgresOutbox::new(opened.database()), {
        let other = Database::open(&opened.settings).await.expect("it is opened");
        PostgresOutbox::new(other)
    });
    let mut leader = one.lead(ALL).await.expect("it can be asked").expect("nobody leads yet");
    for _ in 0..5 {
        assert!(
            two.lead(ALL).await.expect("it can be asked").is_none(),
            "there are two leaders"
        );
    }
    assert_eq!(end_leaders(&mut administrator).await, 1);
    eventually("the standby leads", async || {
        two.lead(ALL).await.expect("it can be asked").is_some()
    })
    .await;
    eventually("the old leader knows", async || {
        matches!(leader.is_held().await, Ok(false))
    })
    .await;
    leader.release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_silent_is_replaced_and_one_that_asks_is_not() {
    const SILENCE: Duration = Duration::from_secs(5);
    let opened = Opened::with(|settings| settings.silence_ms = 5_000).await;
    let (one, two) = (
        PostgresOutbox::new(opened.database()),
        PostgresOutbox::new(opened.database()),
    );
    let [silent, asking] = [0, 1].map(|number| SliceGroup { number, of: 2 });
    let lead = async |outbox: &PostgresOutbox, group| outbox.lead(group).await.expect("it can be asked");
    // Its silence begins no earlier than this.
    let started = Instant::now();
    let mut silent_leader = lead(&one, silent).await.expect("nobody leads yet");
    let mut asking_leader = lead(&one, asking).await.expect("nobody leads yet");
    let mut replaced = None;
    eventually("whoever is silent is replaced", async || {
        replaced = lead(&two, silent).await;
        assert!(asking_leader.is_held().await.expect("it can be asked"));
        replaced.is_some()
    })
    .await;
    assert!(started.elapsed() >= SILENCE, "after {:?}", started.elapsed());
    assert!(lead(&two, asking).await.is_none(), "there are two leaders");
    assert!(!matches!(silent_leader.is_held().await, Ok(true)), "it knows");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_asks_on_one_connection() {
    let opened = Opened::fresh().await;
    let mut administrator = opened.administrator().await;
    let (one, two) = (
        PostgresOutbox::new(opened.database()),
        PostgresOutbox::new(opened.database()),
    );
    let leader = one.lead(ALL).await.expect("it can be asked").expect("nobody leads yet");
    let text = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE '%advisory%' \
         AND pid <> pg_backend_pid()";
    for _ in 0..10 {
        assert!(two.lead(ALL).await.expect("it can be asked").is_none());
    }
    let connections: i64 = sqlx::query_scalar(text)
        .fetch_one(&mut administrator)
        .await
        .expect("it may look");
    assert_eq!(connections, 2, "one leads and one asks");
    drop(leader);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_is_woken_by_a_commit() {
    let opened = Opened::with(|settings| settings.poll_ms = 600_000).await;
    let outbox = PostgresOutbox::new(opened.database());
    let clone = outbox.clone();
    // The first answer says that there is an ear now.
    for outbox in [&outbox, &clone] {
        outbox.appended().await;
    }
    for round in 0..5 {
        let started = Instant::now();
        append(&opened.log, unit(room(), 0, 1)).await;
        for outbox in [&outbox, &clone] {
            let woken = tokio::time::timeout(Duration::from_secs(10), outbox.appended()).await;
            woken.unwrap_or_else(|_| panic!("nobody was woken in round {round}"));
        }
        assert!(started.elapsed() < Duration::from_secs(10));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_under_lock_rings_too() {
    let opened = Opened::with(|settings| settings.poll_ms = 600_000).await;
    let outbox = PostgresOutbox::new(opened.database());
    outbox.appended().await;
    let stream = room();
    let slices = std::collections::BTreeSet::from([stream.slice()]);
    let locked = cocotalk_application::port::event_log::EventLog::lock(&opened.log, slices).await;
    let committed = locked.expect("it can be locked").commit(unit(stream, 0, 1)).await;
    committed.expect("it can be written");
    let woken = tokio::time::timeout(Duration::from_secs(10), outbox.appended()).await;
    woken.expect("somebody was woken");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_ear_that_is_lost_is_made_anew() {
    let opened = Opened::with(|settings| settings.poll_ms = 600_000).await;
    let mut administrator = opened.administrator().await;
    let outbox = PostgresOutbox::new(opened.database());
    outbox.appended().await;
    for _ in 0..2 {
        assert_eq!(end_connections(&mut administrator, "query LIKE 'LISTEN%'").await, 1);
        // Nobody knows what the lost one would have heard, so the new one answers at once.
        let woken = tokio::time::timeout(Duration::from_secs(10), outbox.appended()).await;
        woken.expect("a new ear is made");
        append(&opened.log, unit(room(), 0, 1)).await;
        let woken = tokio::time::timeout(Duration::from_secs(10), outbox.appended()).await;
        woken.expect("it hears");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_bell_the_relay_looks_now_and_then() {
    let opened = Opened::with(|settings| settings.poll_ms = 40).await;
    let outbox = PostgresOutbox::new(opened.database());
    outbox.appended().await;
    let started = Instant::now();
    for _ in 0..5 {
        outbox.appended().await;
    }
    let took = started.elapsed();
    assert!(took >= Duration::from_millis(100), "it waits: {took:?}");
    assert!(took < Duration::from_secs(5), "it looks: {took:?}");
}
