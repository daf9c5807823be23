//! A projector that has to catch up, beside what the store's driver does with single inserts.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cocotalk_domain::id::{RoomId, UserId};
use futures_util::future::try_join_all;
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::ClusterArguments;
use super::platform::Platform;
use super::senders::id;
use super::stores::{Node, Servers};
use crate::api;
use crate::child::Running;
use crate::figure::write_amplification::ROWS_WRITTEN;
use crate::report::{RATIO, Row};

const FIGURE: &str = "backlog";
const EVENTS: usize = 200_000;
const ROOMS: usize = 1_000;
/// Single inserts that are timed, after as many that only warm everything up.
const INSERTS: usize = 100_000;
/// Inserts under way at a time: as many as a projector has, and more win nothing.
const IN_FLIGHT: usize = 192;
const PUBLISHED: &str = "cocotalk_relay_published_events_total";
const POLL: Duration = Duration::from_millis(20);
/// When the counter has not moved for so long, everything is written.
const STILL: Duration = Duration::from_secs(3);
const DEADLINE: Duration = Duration::from_mins(10);

/// Both, in one run after the other.
pub(crate) async fn measure(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let (mut written, mut ceilings) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        let platform = Platform::install(arguments, servers).await?;
        let relay = platform.start("relay").await?;
        fill(&platform, &relay).await?;
        let cql = Arc::new(connect(&platform).await?);
        single_inserts(&cql).await?;
        let before = single_inserts(&cql).await?;
        let rate = catch_up(&platform).await?;
        let after = single_inserts(&cql).await?;
        relay.stop().await?;
        eprintln!("  {rate:.0} rows/s; single inserts: {before:.0}/s before and {after:.0}/s after");
        written.push(rate);
        ceilings.push(f64::midpoint(before, after));
    }
    let shares = written
        .iter()
        .zip(&ceilings)
        .map(|(rows, ceiling)| rows / ceiling)
        .collect();
    let what = "table rows/s of a backlog of 200,000 events over the driver's single inserts";
    Ok(vec![
        Row::at_least(FIGURE, what, RATIO, shares, (1.0, 0.8)),
        Row::reported(FIGURE, "table rows/s, after deduplication", "/s", written),
        Row::reported(FIGURE, "single inserts/s of the driver", "/s", ceilings),
    ])
}

/// So many messages in the log and on the bus, and in no read model.
async fn fill(platform: &Platform, relay: &Running) -> Result<()> {
    let node = Node::open(&platform.database).await?;
    let rooms = node.rooms(ROOMS).await?;
    let each = EVENTS / ROOMS;
    let fill = |room: &(RoomId, UserId)| node.fill(*room, each as u64);
    // Few enough at a time for the queues of the lanes.
    for some in rooms.chunks(4) {
        try_join_all(some.iter().map(fill)).await?;
    }
    let deadline = Instant::now() + DEADLINE;
    while api::counter(relay.admin()?, PUBLISHED).await.unwrap_or(0.0) < EVENTS as f64 {
        ensure!(Instant::now() < deadline, "the relay does not publish everything");
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Rows a second, from the start of the projectors until they write no more.
async fn catch_up(platform: &Platform) -> Result<f64> {
    let started = Instant::now();
    let projectors = platform.start("projectors").await?;
    let deadline = Instant::now() + DEADLINE;
    let (mut rows, mut at) = (0.0, started);
    loop {
        tokio::time::sleep(POLL).await;
        // There is no such counter before the first row.
        let now = api::counter(projectors.admin()?, ROWS_WRITTEN).await.unwrap_or(0.0);
        if now > rows {
            (rows, at) = (now, Instant::now());
        } else if rows >= EVENTS as f64 && at.elapsed() > STILL {
            break;
        }
        ensure!(Instant::now() < deadline, "only {rows} rows are written");
    }
    projectors.stop().await?;
    Ok(rows / at.duration_since(started).as_secs_f64())
}

async fn connect(platform: &Platform) -> Result<Session> {
    let session = SessionBuilder::new().known_nodes(&platform.cql).build().await?;
    let table = format!(
        "CREATE TABLE {}.single (room_id uuid, bucket int, seq bigint, cnt bigint, message_id uuid, author_id uuid, \
         kind smallint, sent_at bigint, body blob, meta blob, PRIMARY KEY ((room_id, bucket), seq)) \
         WITH CLUSTERING ORDER BY (seq DESC)",
        platform.name
    );
    session.query_unpaged(table, ()).await.context("cannot make a table")?;
    session.use_keyspace(&platform.name, false).await?;
    Ok(session)
}

/// Inserts of one row of a message each, a second.
async fn single_inserts(session: &Arc<Session>) -> Result<f64> {
    let text = "INSERT INTO single (room_id, bucket, seq, cnt, message_id, author_id, kind, sent_at, body, meta) \
                VALUES (?, 0, ?, ?, ?, ?, 1, ?, ?, ?)";
    let insert = session.prepare(text).await?;
    let rooms: Vec<_> = (0..ROOMS).map(|_| id()).collect();
    let permits = Arc::new(Semaphore::new(IN_FLIGHT));
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for number in 0..INSERTS {
        let permit = Arc::clone(&permits).acquire_owned().await?;
        let (session, insert, room) = (Arc::clone(session), insert.clone(), rooms[number % ROOMS]);
        tasks.spawn(async move {
            let seq = number as i64;
            let row = (
                room,
                seq,
                seq,
                id(),
                id(),
                seq,
                [0xa5_u8; 100].as_slice(),
                b"{}".as_slice(),
            );
            let done = session.execute_unpaged(&insert, row).await.map(drop);
            drop(permit);
            done
        });
        while let Some(done) = tasks.try_join_next() {
            done??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(INSERTS as f64 / started.elapsed().as_secs_f64())
}
