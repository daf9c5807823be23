//! Durable sends a second against the baseline, same machine, same driver, same payload, run by run in turn.

use anyhow::Result;

use crate::bench::Bench;
use crate::child::Running;
use crate::figure::peers::{self, LoadRun, Presence, Shape};
use crate::load::{self, Bound};
use crate::report::Row;
use crate::stats::median;
use crate::world::{FIRST_MESSAGES, World, baseline_rooms};

/// Bars are multiples of the baseline.
const FACTOR: f64 = 5.0;
/// What one room must reach of what many reach.
const ONE_OF_MANY: f64 = 0.7;

const MANY: Shape = Shape {
    rooms: 64,
    members: 3,
    connections: 64,
    presence: Presence::Offline,
};
const ONE: Shape = Shape { rooms: 1, ..MANY };

/// 64 connections in 64 rooms.
pub(crate) async fn many(bench: &mut Bench) -> Result<Vec<Row>> {
    let (ours, baseline) = in_turn(bench, MANY).await?;
    let what = "durable sends/s, 64 connections, 64 rooms";
    Ok(vec![
        Row::over_baseline("sends-many", what, "/s", rates(&ours), (&baseline, FACTOR))
            .with_faults(&peers::faults(&ours)),
    ])
}

/// 64 connections in one room.
pub(crate) async fn one(bench: &mut Bench) -> Result<Vec<Row>> {
    let many = median(&rates(&peers::runs_of(bench, MANY).await?));
    let (ours, baseline) = in_turn(bench, ONE).await?;
    let what = "durable sends/s, 64 connections, one room";
    let mut alone = Vec::new();
    for _ in 0..bench.runs() {
        alone.push(run_baseline(bench, Shape { connections: 1, ..ONE }).await?);
    }
    let of_many = Row::at_least(
        "sends-one",
        "one room over many rooms",
        "/s",
        rates(&ours),
        (many, ONE_OF_MANY),
    );
    Ok(vec![
        Row::over_baseline("sends-one", what, "/s", rates(&ours), (&baseline, FACTOR))
            .with_faults(&peers::faults(&ours)),
        of_many,
        Row::reported(
            "sends-one",
            "the baseline at its best in one room: one connection, no conflicts",
            "/s",
            alone,
        ),
    ])
}

fn rates(runs: &[LoadRun]) -> Vec<f64> {
    runs.iter().map(|run| run.sends_per_s).collect()
}

/// Ours and the baseline by turns, so that a machine that slows down slows both.
async fn in_turn(bench: &mut Bench, shape: Shape) -> Result<(Vec<LoadRun>, Vec<f64>)> {
    let known = bench.loads.get(&shape).cloned();
    let (mut ours, mut baseline) = (Vec::new(), Vec::new());
    for run in 0..bench.runs() {
        match known.as_ref().and_then(|runs| runs.get(run)) {
            Some(known) => ours.push(known.clone()),
            None => ours.push(peers::run_once(bench, shape).await?),
        }
        baseline.push(run_baseline(bench, shape).await?);
    }
    bench.loads.insert(shape, ours.clone());
    Ok((ours, baseline))
}

/// One run of the baseline on a fresh store.
async fn run_baseline(bench: &Bench, shape: Shape) -> Result<f64> {
    let site = bench.site()?;
    let server = Running::baseline(&site).await?;
    let rooms = baseline_rooms(shape.rooms)?;
    World::of(server.http)?.fill(&rooms, FIRST_MESSAGES).await?;
    let sent = load::send(server.http, &rooms, shape.connections, &Bound::time(bench.length())).await?;
    server.stop().await?;
    eprintln!(
        "  baseline: {:.0} sends/s ({} acked, {} retried)",
        sent.per_s(),
        sent.acked(),
        sent.retries
    );
    Ok(sent.per_s())
}
