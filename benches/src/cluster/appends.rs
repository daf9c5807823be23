//! What an append costs on PostgreSQL.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::ClusterArguments;
use super::framework::Framework;
use super::senders::{Sent, send_for};
use super::stores::{Node, Servers};
use crate::report::{RATIO, Row};
use crate::stats::{Latency, median};

const ROOMS: usize = 1_000;
const MANY_SENDERS: usize = 256;
const ONE_ROOM_SENDERS: usize = 64;
const LONG_ROOM: u64 = 100_000;
const SHORT_ROOM: u64 = 100;

/// Runs of ours and of the framework by turns, each on a fresh database.
async fn in_turn(
    arguments: &ClusterArguments,
    servers: &Servers,
    rooms: usize,
    senders: usize,
) -> Result<(Vec<Sent>, Vec<Sent>)> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        ours.push(run_ours(arguments, servers, rooms, senders).await?);
        theirs.push(run_framework(arguments, servers, rooms, senders).await?);
    }
    Ok((ours, theirs))
}

async fn run_ours(arguments: &ClusterArguments, servers: &Servers, rooms: usize, senders: usize) -> Result<Sent> {
    let node = Node::open(&servers.database().await?).await?;
    let rooms = node.rooms(rooms).await?;
    let sent = send_for(&node, &rooms, senders, arguments.length()).await?;
    let logged = node.messages(rooms.len()).await?;
    ensure!(
        logged >= sent.messages && logged <= sent.messages + senders as u64,
        "{logged} messages are in the log, {} were acknowledged in time",
        sent.messages
    );
    eprintln!(
        "  ours: {:.0}/s, {} retried",
        sent.rate(arguments.length()),
        sent.retried
    );
    Ok(sent)
}

async fn run_framework(arguments: &ClusterArguments, servers: &Servers, rooms: usize, senders: usize) -> Result<Sent> {
    let framework = Framework::open(&servers.empty_database().await?).await?;
    let rooms = framework.rooms(rooms).await?;
    let sent = send_for(&framework, &rooms, senders, arguments.length()).await?;
    ensure!(
        framework.messages().await? >= sent.messages as i64,
        "the framework lost a message"
    );
    eprintln!(
        "  framework: {:.0}/s, {} retried",
        sent.rate(arguments.length()),
        sent.retried
    );
    Ok(sent)
}

fn rates(runs: &[Sent], length: Duration) -> Vec<f64> {
    runs.iter().map(|sent| sent.rate(length)).collect()
}

/// 256 senders over 1,000 rooms.
pub(crate) async fn many(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let (ours, theirs) = in_turn(arguments, servers, ROOMS, MANY_SENDERS).await?;
    let length = arguments.length();
    let what = "durable appends/s, 256 senders, 1,000 rooms";
    let baseline = rates(&theirs, length);
    Ok(vec![Row::over_baseline(
        "append-many",
        what,
        "/s",
        rates(&ours, length),
        (&baseline, 10.0),
    )])
}

/// 64 senders in one room.
pub(crate) async fn one(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let (ours, theirs) = in_turn(arguments, servers, 1, ONE_ROOM_SENDERS).await?;
    let length = arguments.length();
    let what = "durable appends/s, 64 senders, one room";
    let baseline = rates(&theirs, length);
    Ok(vec![Row::over_baseline(
        "append-one",
        what,
        "/s",
        rates(&ours, length),
        (&baseline, 50.0),
    )])
}

fn p50s(runs: Vec<Sent>) -> Vec<f64> {
    runs.into_iter().map(|sent| Latency::of(sent.took_us).p50_ms).collect()
}

/// One sender alone, over a thousand rooms.
pub(crate) async fn lone(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let (ours, theirs) = in_turn(arguments, servers, ROOMS, 1).await?;
    let (ours, theirs) = (p50s(ours), p50s(theirs));
    let ratios = ours.iter().zip(&theirs).map(|(a, b)| a / b).collect();
    Ok(vec![
        Row::at_most(
            "append-lone",
            "p50 of one lone sender over the framework's",
            RATIO,
            ratios,
            1.5,
        ),
        Row::reported("append-lone", "p50 of one lone sender", "ms", ours),
        Row::reported("append-lone", "p50 of the framework's", "ms", theirs),
    ])
}

/// The same rows by `append_batch` alone: prepared batches on connections of their own, the best of a few shapes.
pub(crate) async fn ceiling(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let length = arguments.length();
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        ours.push(run_ours(arguments, servers, ROOMS, MANY_SENDERS).await?.rate(length));
        let mut best = 0.0_f64;
        for (connections, batch) in [(2, 128), (4, 64), (8, 32)] {
            let rate = servers.raw_appends(connections, batch, length / 3).await?;
            eprintln!("  append_batch alone, {connections} connections, {batch} rows: {rate:.0}/s");
            best = best.max(rate);
        }
        raw.push(best);
    }
    let what = "share of what append_batch alone does with the same rows";
    let shares = ours.iter().zip(&raw).map(|(ours, raw)| ours / raw).collect();
    Ok(vec![
        Row::at_least("ceiling", what, RATIO, shares, (1.0, 0.5)),
        Row::reported("ceiling", "append_batch alone, rows/s", "/s", raw),
    ])
}

/// Two nodes, 64 senders between them, one room.
pub(crate) async fn hot_room(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let length = arguments.length();
    let (mut rates, mut refused) = (Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        let database = servers.database().await?;
        let (one, two) = (Node::open(&database).await?, Node::open(&database).await?);
        let rooms = one.rooms(1).await?;
        let half = ONE_ROOM_SENDERS / 2;
        let (first, second) = tokio::join!(
            send_for(&one, &rooms, half, length),
            send_for(&two, &rooms, half, length)
        );
        let (first, second) = (first?, second?);
        rates.push(first.rate(length) + second.rate(length));
        refused.push((first.refused + second.refused + first.retried + second.retried) as f64);
    }
    Ok(vec![
        Row::at_most(
            "hot-room",
            "sends refused, one room, two nodes, 64 senders",
            "",
            refused,
            0.0,
        ),
        Row::reported("hot-room", "sends/s of both nodes", "/s", rates),
    ])
}

/// A command in a room of 100,000 messages over one in a room of 100, by turns, warm.
pub(crate) async fn long_room(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let node = Node::open(&servers.database().await?).await?;
    let rooms = node.rooms(2).await?;
    node.fill(rooms[0], LONG_ROOM).await?;
    node.fill(rooms[1], SHORT_ROOM).await?;
    let mut ratios = Vec::new();
    for _ in 0..arguments.runs {
        let (mut long, mut short) = (Vec::new(), Vec::new());
        for _ in 0..20 {
            let slot = arguments.length() / 40;
            long.extend(send_for(&node, &rooms[..1], 1, slot).await?.took_us);
            short.extend(send_for(&node, &rooms[1..], 1, slot).await?.took_us);
        }
        ratios.push(Latency::of(long).p50_ms / Latency::of(short).p50_ms);
    }
    ensure!(median(&ratios) > 0.0, "nothing was sent");
    let what = "median command time, 100,000 messages over 100";
    Ok(vec![Row::at_most("long-room", what, RATIO, ratios, 1.2)])
}
