//! Sends as fast as they are acknowledged, with everything checked afterwards: the loads that the durable peer was
//! measured with, and the one engine under all figures that count sends.

use std::time::Instant;

use anyhow::Result;

use crate::bench::Bench;
use crate::load::{self, Bound, Sent};
use crate::process;
use crate::report::Row;
use crate::watchers::{Watchers, Watching};
use crate::world::{FIRST_MESSAGES, World};

/// Bars are multiples of what the peer does.
const FACTOR: f64 = 3.0;
/// Server CPU seconds the peer takes for 1,000 sends with the others offline, and with ten online.
const PEER_CPU_S: [f64; 2] = [0.31, 0.69];

/// A load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Shape {
    /// Rooms.
    pub(crate) rooms: usize,
    /// Members of each; all different people.
    pub(crate) members: usize,
    /// Connections that send.
    pub(crate) connections: usize,
    /// Who watches on a socket.
    pub(crate) presence: Presence,
}

/// Who is there to receive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Presence {
    /// Nobody has a socket.
    Offline,
    /// Every member has one.
    Online,
}

/// 64 rooms of ten, a sender in each, nobody watching.
pub(crate) const OFFLINE: Shape = Shape {
    rooms: 64,
    members: 10,
    connections: 64,
    presence: Presence::Offline,
};
/// The same with all 640 members online.
pub(crate) const ONLINE: Shape = Shape {
    presence: Presence::Online,
    ..OFFLINE
};
/// One room of ten, 64 connections of its members, nobody watching.
pub(crate) const ONE_ROOM: Shape = Shape { rooms: 1, ..OFFLINE };
/// One room of 64, all online, all sending.
pub(crate) const HOT_ROOM: Shape = Shape {
    rooms: 1,
    members: 64,
    connections: 64,
    presence: Presence::Online,
};

/// What one run gave.
#[derive(Debug, Clone)]
pub(crate) struct LoadRun {
    /// Acknowledged sends a second.
    pub(crate) sends_per_s: f64,
    /// Server CPU seconds per 1,000 acknowledged sends, deliveries included.
    pub(crate) cpu_s_per_1000: f64,
    /// Frames of messages a second over all sockets, 0 where nobody watches.
    pub(crate) frames_per_s: f64,
    /// The driver's part of the CPU time that both used.
    pub(crate) driver_share: f64,
    /// What was not as it must be.
    pub(crate) faults: Vec<String>,
}

/// The rows of a load that is held against the peer's `sends_per_s`.
pub(crate) async fn measure(bench: &mut Bench, name: &'static str, shape: Shape, sends_per_s: f64) -> Result<Vec<Row>> {
    let runs = runs_of(bench, shape).await?;
    let pick = |field: fn(&LoadRun) -> f64| runs.iter().map(field).collect::<Vec<_>>();
    let what = match shape.presence {
        Presence::Offline => "acked sends/s, others offline",
        Presence::Online => "acked sends/s, all members online, each received all in order",
    };
    let mut rows = vec![
        Row::at_least(name, what, "/s", pick(|run| run.sends_per_s), (sends_per_s, FACTOR)).with_faults(&faults(&runs)),
    ];
    if shape.presence == Presence::Online {
        rows.push(Row::reported(
            name,
            "delivered frames/s",
            "/s",
            pick(|run| run.frames_per_s),
        ));
    }
    rows.push(Row::reported(
        name,
        "the driver's part of the CPU time",
        "",
        pick(|run| run.driver_share),
    ));
    Ok(rows)
}

/// The rows about CPU, of the same runs as `peer-offline` and `peer-online`.
pub(crate) async fn cpu(bench: &mut Bench) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (shape, who, bar) in [
        (OFFLINE, "others offline", PEER_CPU_S[0]),
        (ONLINE, "ten online", PEER_CPU_S[1]),
    ] {
        let runs = runs_of(bench, shape).await?;
        let seconds = runs.iter().map(|run| run.cpu_s_per_1000).collect();
        let what = format!("server CPU per 1,000 sends, {who}");
        rows.push(Row::ahead_of("cpu", what, "s", seconds, bar).with_faults(&faults(&runs)));
    }
    Ok(rows)
}

/// All runs of a load, measured once for all figures that read them.
pub(crate) async fn runs_of(bench: &mut Bench, shape: Shape) -> Result<Vec<LoadRun>> {
    if let Some(known) = bench.loads.get(&shape) {
        return Ok(known.clone());
    }
    let mut runs = Vec::new();
    for _ in 0..bench.runs() {
        runs.push(run_once(bench, shape).await?);
    }
    bench.loads.insert(shape, runs.clone());
    Ok(runs)
}

/// What was wrong in any of the runs, with the number of the run.
pub(crate) fn faults(runs: &[LoadRun]) -> Vec<String> {
    let numbered = runs.iter().zip(1..);
    numbered
        .flat_map(|(run, number)| run.faults.iter().map(move |fault| format!("run {number}: {fault}")))
        .collect()
}

/// One run on a fresh server and a fresh store.
pub(crate) async fn run_once(bench: &Bench, shape: Shape) -> Result<LoadRun> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let rooms = world.rooms(shape.rooms, shape.members).await?;
    world.fill(&rooms, FIRST_MESSAGES).await?;
    let before = world.standings(&rooms).await?;
    let mut watchers = match shape.presence {
        Presence::Offline => None,
        Presence::Online => {
            let watching = Watching {
                buffer_bytes: buffer_bytes(shape.members),
                epoch: None,
            };
            Some(Watchers::open(server.http, &rooms, &before, watching).await?)
        }
    };
    let cpu = || {
        Ok::<_, anyhow::Error>((
            process::cpu_seconds(server.pid)?,
            process::cpu_seconds(std::process::id())?,
        ))
    };
    let cpu_before = cpu()?;
    if let Some(watchers) = &mut watchers {
        watchers.mark_start();
    }
    let start = Instant::now();
    let sent = load::send(server.http, &rooms, shape.connections, &Bound::time(bench.length())).await?;
    let mut faults = Vec::new();
    let mut frames_per_s = 0.0;
    if let Some(watchers) = watchers {
        let delivered = watchers.settle(&sent.by_room).await?;
        frames_per_s = delivered.messages as f64 / delivered.elapsed.as_secs_f64();
        faults.extend(delivered.faults);
    }
    let took = start.elapsed().as_secs_f64();
    let cpu_after = cpu()?;
    let after = world.standings(&rooms).await?;
    let grown = before
        .iter()
        .zip(&after)
        .map(|(before, after)| after.last_seq - before.last_seq);
    let wrong = grown
        .zip(&sent.by_room)
        .filter(|(grown, acked)| grown != *acked)
        .count();
    if wrong > 0 {
        faults.push(format!(
            "{wrong} rooms did not grow by exactly their acknowledged messages"
        ));
    }
    server.stop().await?;
    let (server_s, driver_s) = (cpu_after.0 - cpu_before.0, cpu_after.1 - cpu_before.1);
    let run = LoadRun {
        sends_per_s: sent.per_s(),
        cpu_s_per_1000: server_s * 1_000.0 / sent.acked() as f64,
        frames_per_s,
        driver_share: driver_s / (server_s + driver_s),
        faults,
    };
    progress(&run, &sent, (server_s / took, driver_s / took));
    Ok(run)
}

/// A room of 64 brings each socket a burst with every batch, a room of ten a few frames.
fn buffer_bytes(members: usize) -> usize {
    if members > 10 { 64 * 1_024 } else { 8 * 1_024 }
}

fn progress(run: &LoadRun, sent: &Sent, (server_cores, driver_cores): (f64, f64)) {
    eprintln!(
        "  {:.0} sends/s ({} acked, {} retried), {:.0} frames/s, cores: server {server_cores:.2}, driver {driver_cores:.2}",
        run.sends_per_s,
        sent.acked(),
        sent.retries,
        run.frames_per_s,
    );
    for fault in &run.faults {
        eprintln!("  WRONG: {fault}");
    }
}
