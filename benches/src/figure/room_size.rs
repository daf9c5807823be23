//! What a long room costs a command: nothing, if state is kept and not replayed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::http::HttpClient;
use crate::keys::KeySource;
use crate::load::{self, Bound, send_one};
use crate::report::{RATIO, Row};
use crate::stats::Latency;
use crate::world::{FIRST_MESSAGES, Room, World};

/// The long room may take this much longer.
const BAR: f64 = 1.1;
/// Short rooms that share the sends, so that none of them grows long.
const SHORT_ROOMS: usize = 64;
/// Sends in each short room and run: it stays between 100 and 200 messages.
const SENDS_EACH: usize = 100;
const MEMBERS: usize = 3;
/// Sends elsewhere before a cold command is timed, so that the first command of the process is not what is measured.
const WARM_UP: u64 = 50;
/// Filling the long room fails if it takes longer.
const FILL_DEADLINE: Duration = Duration::from_hours(1);

/// Warm, then cold.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let messages = bench.arguments.room_messages;
    let site = bench.site()?;
    let mut server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let long = world.rooms(1, MEMBERS).await?;
    let spare = world.rooms(1, MEMBERS).await?;
    let sent = load::send(server.http, &long, 64, &Bound::count(messages, FILL_DEADLINE)).await?;
    ensure!(
        sent.acked() == messages,
        "{} of {messages} messages were written",
        sent.acked()
    );
    eprintln!("  the long room has its {messages} messages");
    let (mut short_ms, mut long_ms, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    let mut short = Vec::new();
    for _ in 0..bench.runs() {
        short = world.rooms(SHORT_ROOMS, MEMBERS).await?;
        world.fill(&short, FIRST_MESSAGES).await?;
        let mut client = HttpClient::new(server.http)?;
        let (in_short, in_long) = warm(&mut client, &short, &long[0], bench.length()).await?;
        eprintln!("  warm: short {:.3} ms, long {:.3} ms", in_short.p50_ms, in_long.p50_ms);
        short_ms.push(in_short.p50_ms);
        long_ms.push(in_long.p50_ms);
        ratios.push(in_long.p50_ms / in_short.p50_ms);
    }
    let (mut cold_short_ms, mut cold_long_ms) = (Vec::new(), Vec::new());
    for run in 0..bench.runs() {
        server.stop().await?;
        server = bench.server(&site).await?;
        let mut client = HttpClient::new(server.http)?;
        let mut keys = KeySource::new(run);
        for number in 0..WARM_UP {
            send_one(&mut client, &spare[0].target(0), &mut keys, number).await?;
        }
        // By turns, so that neither is always the one that comes first.
        let pair = [&short[run % SHORT_ROOMS], &long[0]];
        let order = if run % 2 == 0 { [0, 1] } else { [1, 0] };
        for which in order {
            let ms = f64::from(timed(&mut client, pair[which], &mut keys).await?) / 1_000.0;
            if which == 0 {
                cold_short_ms.push(ms);
            } else {
                cold_long_ms.push(ms);
            }
        }
    }
    server.stop().await?;
    let name = "room-size";
    Ok(vec![
        Row::at_most(
            name,
            format!("median command time, {messages} messages over 100, warm"),
            RATIO,
            ratios,
            BAR,
        ),
        Row::reported(name, "100 messages, warm", "ms", short_ms),
        Row::reported(name, format!("{messages} messages, warm"), "ms", long_ms),
        Row::reported(name, "100 messages, first command after a restart", "ms", cold_short_ms),
        Row::reported(
            name,
            format!("{messages} messages, first command after a restart"),
            "ms",
            cold_long_ms,
        ),
    ])
}

/// One client, one send at a time, by turns in a short and in the long room.
async fn warm(client: &mut HttpClient, short: &[Room], long: &Room, length: Duration) -> Result<(Latency, Latency)> {
    let mut keys = KeySource::new(0);
    let until = Instant::now() + length;
    let (mut in_short, mut in_long) = (Vec::new(), Vec::new());
    for number in 0..SHORT_ROOMS * SENDS_EACH {
        if Instant::now() >= until {
            break;
        }
        let room = &short[number % short.len()];
        if number % 2 == 0 {
            in_short.push(timed(client, room, &mut keys).await?);
            in_long.push(timed(client, long, &mut keys).await?);
        } else {
            in_long.push(timed(client, long, &mut keys).await?);
            in_short.push(timed(client, room, &mut keys).await?);
        }
    }
    Ok((Latency::of(in_short), Latency::of(in_long)))
}

/// Microseconds of one send.
async fn timed(client: &mut HttpClient, room: &Room, keys: &mut KeySource) -> Result<u32> {
    let target = room.target(0);
    let start = Instant::now();
    send_one(client, &target, keys, 0).await?;
    Ok(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX))
}
