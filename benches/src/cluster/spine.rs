//! Everything at once: what goes through over HTTP while relay, bus, projectors and read model work on the same cores, and how
//! long it takes until an answered message is elsewhere.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cocotalk_application::port::live::EventFeed as _;
use cocotalk_domain::event::AnyEvent;
use cocotalk_domain::room::RoomEvent;
use cocotalk_infra::kafka::{self, KafkaFeed};
use hyper::StatusCode;
use serde::Deserialize;
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ClusterArguments;
use super::platform::{Platform, newest, until_shown};
use super::stores::Servers;
use crate::child::Running;
use crate::http::HttpClient;
use crate::keys::KeySource;
use crate::load::{self, Bound, message, send_one};
use crate::process::{cpu_seconds, machine_seconds};
use crate::report::Row;
use crate::scan;
use crate::socket::LiveSocket;
use crate::stats::Latency;
use crate::world::{Room, World};

const FIGURE: &str = "spine";
const ROOMS: usize = 64;
const MEMBERS: usize = 3;
/// Time between two messages of the paced load: 200 a second.
const PACE: Duration = Duration::from_millis(5);
/// One of so many messages is looked for in a query.
const QUERIED: u64 = 5;
/// How long the last deliveries may take.
const SETTLE: Duration = Duration::from_secs(30);

/// When a message of this id was seen somewhere.
type Seen = HashMap<String, Instant>;

/// The processes of the platform.
struct Processes {
    command: Running,
    queries: [Running; 2],
    relay: Running,
    projectors: Running,
}

impl Processes {
    async fn start(platform: &Platform) -> Result<Self> {
        Ok(Self {
            command: platform.start("command-api").await?,
            queries: [platform.start("query-api").await?, platform.start("query-api").await?],
            relay: platform.start("relay").await?,
            projectors: platform.start("projectors").await?,
        })
    }

    /// CPU seconds of each part so far, and of the whole machine.
    fn used(&self) -> Result<[f64; 6]> {
        let queries = cpu_seconds(self.queries[0].pid)? + cpu_seconds(self.queries[1].pid)?;
        Ok([
            cpu_seconds(self.command.pid)?,
            cpu_seconds(self.relay.pid)?,
            cpu_seconds(self.projectors.pid)?,
            queries,
            cpu_seconds(std::process::id())?,
            machine_seconds()?,
        ])
    }

    async fn stop(self) -> Result<()> {
        let [one, two] = self.queries;
        for process in [self.command, one, two, self.projectors, self.relay] {
            process.stop().await?;
        }
        Ok(())
    }
}

/// Throughput, then latencies at a steady 200 messages a second.
pub(crate) async fn measure(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let platform = Platform::install(arguments, servers).await?;
    let processes = Processes::start(&platform).await?;
    let mut world = World::of(processes.command.http)?;
    let rooms = world.rooms(ROOMS, MEMBERS).await?;
    world.fill(&rooms, 10).await?;
    let mut rows = throughput(arguments, &processes, &rooms).await?;
    rows.extend(latencies(arguments, &platform, &processes, &rooms).await?);
    processes.stop().await?;
    Ok(rows)
}

async fn throughput(arguments: &ClusterArguments, processes: &Processes, rooms: &[Room]) -> Result<Vec<Row>> {
    let (mut rates, mut behind, mut costs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        caught_up(processes, rooms).await?;
        let before = processes.used()?;
        let bound = Bound::time(arguments.length());
        let sent = load::send(processes.command.http, rooms, ROOMS, &bound).await?;
        ensure!(sent.retries == 0, "{} sends were put off", sent.retries);
        behind.push(caught_up(processes, rooms).await?.as_secs_f64());
        let after = processes.used()?;
        rates.push(sent.per_s());
        let used: Vec<f64> = before.iter().zip(after).map(|(before, after)| after - before).collect();
        costs.push(
            used.iter()
                .map(|used| used * 1e6 / sent.acked() as f64)
                .collect::<Vec<f64>>(),
        );
        eprintln!(
            "  {:.0}/s, queries are there {:.2} s later",
            rates[rates.len() - 1],
            behind[behind.len() - 1]
        );
    }
    let mut rows = vec![
        Row::reported(
            FIGURE,
            "sends/s over HTTP, 64 connections, 64 rooms, everything on these cores",
            "/s",
            rates,
        ),
        Row::reported(
            FIGURE,
            "until queries show all of them, after the last answer",
            "s",
            behind,
        ),
    ];
    let of = |part: usize| costs.iter().map(|costs| costs[part]).collect::<Vec<f64>>();
    for (part, name) in [
        "command-api",
        "relay",
        "projectors",
        "query-api, two of them",
        "this driver",
    ]
    .iter()
    .enumerate()
    {
        rows.push(Row::reported(FIGURE, format!("CPU per send: {name}"), "us", of(part)));
    }
    let rest = costs
        .iter()
        .map(|costs| costs[5] - costs[..5].iter().sum::<f64>())
        .collect();
    rows.push(Row::reported(
        FIGURE,
        "CPU per send: PostgreSQL, Kafka, Cassandra, the kernel's own",
        "us",
        rest,
    ));
    Ok(rows)
}

/// Sends one message in every room and waits until both query nodes show them. How long that took.
async fn caught_up(processes: &Processes, rooms: &[Room]) -> Result<Duration> {
    let started = Instant::now();
    let mut client = HttpClient::new(processes.command.http)?;
    let mut keys = KeySource::new(ROOMS);
    for room in rooms {
        let answer = send_one(&mut client, &room.target(0), &mut keys, 0).await?;
        for node in &processes.queries {
            until_shown(
                &mut HttpClient::new(node.http)?,
                &newest(room, answer.position.clone())?,
            )
            .await?;
        }
    }
    Ok(started.elapsed())
}

/// A message that was answered.
struct Answered {
    id: String,
    at: Instant,
    /// How long a query then took to show it, where one was asked.
    shown: Option<Duration>,
}

async fn latencies(
    arguments: &ClusterArguments,
    platform: &Platform,
    processes: &Processes,
    rooms: &[Room],
) -> Result<Vec<Row>> {
    let (mut bus, mut shown, mut live) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..arguments.runs {
        let run = one_run(arguments.length(), platform, processes, rooms).await?;
        for (all, latency) in [&mut bus, &mut shown, &mut live].into_iter().zip(run) {
            eprint!("  p50 {:.2} p99 {:.2} ms", latency.p50_ms, latency.p99_ms);
            all.push(latency);
        }
        eprintln!();
    }
    let p50 = |all: &[Latency]| all.iter().map(|latency| latency.p50_ms).collect::<Vec<f64>>();
    let p99 = |all: &[Latency]| all.iter().map(|latency| latency.p99_ms).collect::<Vec<f64>>();
    Ok(vec![
        Row::at_most(
            FIGURE,
            "answer to a consumer of Kafka at 200 messages/s, p50",
            "ms",
            p50(&bus),
            10.0,
        ),
        Row::reported(FIGURE, "the same, p99", "ms", p99(&bus)),
        Row::reported(
            FIGURE,
            "answer to the answer of a query that shows it, p50",
            "ms",
            p50(&shown),
        ),
        Row::reported(FIGURE, "the same, p99", "ms", p99(&shown)),
        Row::reported(
            FIGURE,
            "answer to a frame at another client on another node, p50",
            "ms",
            p50(&live),
        ),
        Row::at_most(FIGURE, "the same, p99", "ms", p99(&live), 100.0),
    ])
}

/// Until the bus, a query and a socket have what was answered.
async fn one_run(length: Duration, platform: &Platform, processes: &Processes, rooms: &[Room]) -> Result<[Latency; 3]> {
    let (stop, tasks) = (CancellationToken::new(), TaskTracker::new());
    let settings = kafka::Settings {
        brokers: platform.kafka.clone(),
        events_topic: format!("{}.events", platform.name),
        ..kafka::Settings::default()
    };
    let feed = KafkaFeed::open(&settings, &tasks, stop.clone()).await?;
    let mut consumer = JoinSet::new();
    consumer.spawn(consume(feed, stop.clone()));
    let mut watchers = JoinSet::new();
    for room in rooms {
        // Another person, on the other node than the one that is asked.
        let socket = LiveSocket::open(processes.queries[1].http, &room.members[1].token, 4_096).await?;
        watchers.spawn(watch(socket, stop.clone()));
    }
    let answered = paced(processes.command.http, processes.queries[0].http, rooms, length).await?;
    tokio::time::timeout(SETTLE, async {
        // One more in every room, which comes after all others.
        caught_up(processes, rooms).await
    })
    .await
    .context("the read model does not catch up")??;
    stop.cancel();
    let (on_bus, framed) = (all(consumer).await?, all(watchers).await?);
    Ok([
        Latency::of(since(&answered, &on_bus)?),
        Latency::of(answered.iter().filter_map(|sent| sent.shown).map(micros).collect()),
        Latency::of(since(&answered, &framed)?),
    ])
}

/// What all of them have seen.
async fn all(mut watchers: JoinSet<Result<Seen>>) -> Result<Seen> {
    let mut all = Seen::new();
    while let Some(seen) = watchers.join_next().await {
        all.extend(seen.context("a watcher panicked")??);
    }
    Ok(all)
}

fn micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

/// From the answer until it was seen: none if it was seen before the answer.
fn since(answered: &[Answered], seen: &Seen) -> Result<Vec<u32>> {
    let each = answered.iter().map(|sent| {
        let seen = seen.get(&sent.id);
        let seen = seen.with_context(|| format!("message {} was never seen", sent.id))?;
        Ok(micros(seen.saturating_duration_since(sent.at)))
    });
    each.collect()
}

/// What comes over the bus.
async fn consume(feed: KafkaFeed, stop: CancellationToken) -> Result<Seen> {
    let mut commits = feed.subscribe();
    let mut seen = Seen::new();
    loop {
        let told = tokio::select! {
            told = commits.recv() => told,
            () = stop.cancelled() => return Ok(seen),
        };
        match told {
            Ok(events) => {
                let now = Instant::now();
                for recorded in events.iter() {
                    if let Ok(AnyEvent::Room(RoomEvent::MessageSent(sent))) = &recorded.event {
                        seen.entry(sent.message_id.to_string()).or_insert(now);
                    }
                }
            }
            Err(RecvError::Lagged(missed)) => anyhow::bail!("this driver was {missed} records behind"),
            Err(RecvError::Closed) => return Ok(seen),
        }
    }
}

/// What comes over a socket.
async fn watch(mut socket: LiveSocket, stop: CancellationToken) -> Result<Seen> {
    let mut seen = Seen::new();
    loop {
        while let Some(frame) = socket.next()? {
            if !socket.attend(&frame).await? {
                continue;
            }
            let text = socket.text(&frame);
            let head = scan::head(text);
            if head.op == b"heartbeat" {
                socket.ping().await?;
            } else if head.kind == b"message.sent" {
                let id = scan::last_string_after(text, b"\"message_id\":\"").context("a message without its id")?;
                seen.entry(String::from_utf8_lossy(id).into_owned())
                    .or_insert_with(Instant::now);
            }
        }
        tokio::select! {
            filled = socket.fill() => filled?,
            () = stop.cancelled() => return Ok(seen),
        }
    }
}

/// Message k is due k paces after the start, in room k modulo their number.
async fn paced(commands: SocketAddr, queries: SocketAddr, rooms: &[Room], length: Duration) -> Result<Vec<Answered>> {
    let start = tokio::time::Instant::now();
    let step = PACE * u32::try_from(rooms.len()).context("too many rooms")?;
    let mut senders = JoinSet::new();
    for (number, room) in rooms.iter().cloned().enumerate() {
        let first = start + PACE * u32::try_from(number).context("too many rooms")?;
        senders.spawn(async move {
            let (mut client, mut reader) = (HttpClient::new(commands)?, HttpClient::new(queries)?);
            let (mut keys, target) = (KeySource::new(number), room.target(0));
            let (mut due, mut sent, mut answered) = (first, number as u64, Vec::new());
            while due < start + length {
                tokio::time::sleep_until(due).await;
                let answer = client.call(&message(&target, &mut keys, sent)).await?;
                let at = Instant::now();
                ensure!(
                    answer.status == StatusCode::CREATED,
                    "a send was answered {}",
                    answer.status
                );
                let mut shown = None;
                if sent.is_multiple_of(QUERIED) {
                    until_shown(&mut reader, &newest(&room, answer.position)?).await?;
                    shown = Some(at.elapsed());
                }
                answered.push(Answered {
                    id: serde_json::from_slice::<Sent>(&answer.body)?.message_id,
                    at,
                    shown,
                });
                sent += 1;
                due += step;
            }
            anyhow::Ok(answered)
        });
    }
    let mut all = Vec::new();
    while let Some(answered) = senders.join_next().await {
        all.extend(answered.context("a sender panicked")??);
    }
    Ok(all)
}

/// Of the answer to a send.
#[derive(Deserialize)]
struct Sent {
    message_id: String,
}
