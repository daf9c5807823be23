//! Times of single sends: until the acknowledgement, and until the others have it.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::bench::Bench;
use crate::http::HttpClient;
use crate::keys::KeySource;
use crate::load::send_one;
use crate::paced;
use crate::report::Row;
use crate::stats::Latency;
use crate::watchers::{Watchers, Watching};
use crate::world::{FIRST_MESSAGES, World};

/// What the peer's lone client waits.
const PEER_LONE_MS: f64 = 0.51;
/// What the peer's receivers wait, p50 and p99.
const PEER_DELIVERY_MS: [f64; 2] = [2.3, 6.7];
const ROOMS: usize = 64;
const MEMBERS: usize = 10;
/// Time between two messages of the whole load: 200 a second.
const PACE: Duration = Duration::from_millis(5);

/// One client in one room, nobody else on the server.
pub(crate) async fn lone(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for run in 0..bench.runs() {
        let rooms = world.rooms(1, MEMBERS).await?;
        world.fill(&rooms, FIRST_MESSAGES).await?;
        let mut client = HttpClient::new(server.http)?;
        let mut keys = KeySource::new(run);
        let target = rooms[0].target(0);
        let until = Instant::now() + bench.length();
        let mut samples_us = Vec::new();
        while Instant::now() < until {
            let start = Instant::now();
            send_one(&mut client, &target, &mut keys, samples_us.len() as u64).await?;
            samples_us.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
        }
        let latency = Latency::of(samples_us);
        eprintln!("  p50 {:.3} ms, p99 {:.3} ms", latency.p50_ms, latency.p99_ms);
        p50.push(latency.p50_ms);
        p99.push(latency.p99_ms);
    }
    server.stop().await?;
    Ok(vec![
        Row::ahead_of("lone", "ack p50, one client alone", "ms", p50, PEER_LONE_MS),
        Row::reported("lone", "ack p99, one client alone", "ms", p99),
    ])
}

/// 200 messages a second over 64 rooms, ten online in each; every delivery to another than the sender is a sample.
pub(crate) async fn delivery(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let rooms = world.rooms(ROOMS, MEMBERS).await?;
    world.fill(&rooms, FIRST_MESSAGES).await?;
    let (mut p50, mut p99, mut faults) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..bench.runs() {
        let standings = world.standings(&rooms).await?;
        let epoch = Instant::now();
        let watching = Watching {
            buffer_bytes: 8 * 1_024,
            epoch: Some(epoch),
        };
        let mut watchers = Watchers::open(server.http, &rooms, &standings, watching).await?;
        watchers.mark_start();
        let acked = paced::send(server.http, &rooms, PACE, epoch, bench.length()).await?;
        let delivered = watchers.settle(&acked).await?;
        let latency = Latency::of(delivered.latencies_us);
        eprintln!(
            "  p50 {:.3} ms, p99 {:.3} ms, {} frames",
            latency.p50_ms, latency.p99_ms, delivered.messages
        );
        p50.push(latency.p50_ms);
        p99.push(latency.p99_ms);
        faults.extend(delivered.faults.iter().map(|fault| format!("run {}: {fault}", run + 1)));
    }
    server.stop().await?;
    let what = |percentile| format!("send to delivery {percentile} at 200 messages/s, 640 online");
    Ok(vec![
        Row::ahead_of("delivery", what("p50"), "ms", p50, PEER_DELIVERY_MS[0]).with_faults(&faults),
        Row::ahead_of("delivery", what("p99"), "ms", p99, PEER_DELIVERY_MS[1]),
    ])
}
