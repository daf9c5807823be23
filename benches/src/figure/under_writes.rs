//! Pages of history and whole lists while the rooms they show are written to.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tokio::task::JoinSet;
use tokio::try_join;

use super::reads::{PEER_HISTORY_MS, PEER_LIST_MS};
use crate::api::Account;
use crate::bench::Bench;
use crate::http::HttpClient;
use crate::load::{self, Bound};
use crate::paced;
use crate::readers;
use crate::report::Row;
use crate::stats::Latency;
use crate::world::{Room, World};

const FIGURE: &str = "reads-under-writes";
const READERS: usize = 4;
const ROOMS_EACH: usize = 200;
/// Rooms of each list that are written to, and turned through.
const WRITTEN_EACH: usize = 16;
const MESSAGES: usize = 1_000;
/// Time between two messages of the even load: 200 a second.
const PACE: Duration = Duration::from_millis(5);
const CONNECTIONS: usize = 64;

/// What is written meanwhile.
#[derive(Debug, Clone, Copy)]
enum Writes {
    Nothing,
    Evenly,
    AsManyAsGo,
}

const WRITES: [(Writes, &str); 3] = [
    (Writes::Nothing, "no writes"),
    (Writes::Evenly, "200 sends/s"),
    (Writes::AsManyAsGo, "64 connections sending"),
];

/// What is read.
#[derive(Debug, Clone, Copy)]
enum Reads {
    History,
    List,
}

const READS: [(Reads, &str, f64); 2] = [
    (Reads::History, "page of 50", PEER_HISTORY_MS[1]),
    (Reads::List, "list of 200 rooms", PEER_LIST_MS[1]),
];

/// What one run of one pair gave.
struct Measured {
    latency: Latency,
    sends_per_s: f64,
}

/// Four readers, by turns without writes, under an even load and under as many sends as go.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let (people, rooms) = readers::with_rooms(&mut world, READERS, ROOMS_EACH).await?;
    let written: Vec<Room> = rooms
        .chunks(ROOMS_EACH)
        .flat_map(|of| &of[..WRITTEN_EACH])
        .cloned()
        .collect();
    world.fill(&written, MESSAGES).await?;
    let mut pairs = Vec::new();
    for (writes, load) in WRITES {
        for (reads, what, bar_ms) in READS {
            pairs.push((writes, reads, format!("{what}, {load}"), bar_ms, Vec::new()));
        }
    }
    for _ in 0..bench.runs() {
        for (writes, reads, what, _, runs) in &mut pairs {
            eprint!("  {what}:");
            let before = items(&mut world, &written).await?;
            let length = bench.length() / 2;
            let (latency, sent) = try_join!(
                read(server.http, *reads, (&people, &written), length),
                write(server.http, *writes, &written, length)
            )?;
            let grown = items(&mut world, &written).await? - before;
            ensure!(
                grown == sent,
                "{sent} messages were acknowledged, and the rooms grew by {grown}"
            );
            let sends_per_s = sent as f64 / length.as_secs_f64();
            runs.push(Measured { latency, sends_per_s });
        }
    }
    server.stop().await?;
    let mut rows = Vec::new();
    for (writes, _, what, bar_ms, runs) in pairs {
        let of = |field: fn(&Measured) -> f64| runs.iter().map(field).collect::<Vec<_>>();
        rows.push(Row::reported(
            FIGURE,
            format!("{what}: p50"),
            "ms",
            of(|run| run.latency.p50_ms),
        ));
        let p99 = (format!("{what}: p99"), of(|run| run.latency.p99_ms));
        rows.push(match writes {
            Writes::Evenly => Row::ahead_of(FIGURE, p99.0, "ms", p99.1, bar_ms),
            Writes::Nothing | Writes::AsManyAsGo => Row::reported(FIGURE, p99.0, "ms", p99.1),
        });
        if matches!(writes, Writes::AsManyAsGo) {
            rows.push(Row::reported(
                FIGURE,
                format!("{what}: sends/s"),
                "/s",
                of(|run| run.sends_per_s),
            ));
        }
    }
    Ok(rows)
}

/// Items of all these rooms.
async fn items(world: &mut World, rooms: &[Room]) -> Result<u64> {
    Ok(world
        .standings(rooms)
        .await?
        .iter()
        .map(|standing| standing.last_seq)
        .sum())
}

async fn read(
    address: SocketAddr,
    reads: Reads,
    (people, rooms): (&[Account], &[Room]),
    length: Duration,
) -> Result<Latency> {
    let mut reading = JoinSet::new();
    for (lane, (account, rooms)) in people.iter().zip(rooms.chunks(WRITTEN_EACH)).enumerate() {
        let client = HttpClient::new(address)?;
        match reads {
            Reads::History => {
                reading.spawn(readers::turn_pages(
                    client,
                    rooms.to_vec(),
                    MESSAGES as u64,
                    lane,
                    length,
                ));
            }
            Reads::List => {
                reading.spawn(readers::ask_lists(client, account.clone(), length));
            }
        }
    }
    readers::together(reading).await
}

/// Writes until `length` is over; answers how many messages were acknowledged.
async fn write(address: SocketAddr, writes: Writes, rooms: &[Room], length: Duration) -> Result<u64> {
    match writes {
        Writes::Nothing => Ok(0),
        Writes::Evenly => {
            let acked = paced::send(address, rooms, PACE, Instant::now(), length).await?;
            Ok(acked.iter().sum())
        }
        Writes::AsManyAsGo => Ok(load::send(address, rooms, CONNECTIONS, &Bound::time(length))
            .await?
            .acked()),
    }
}
