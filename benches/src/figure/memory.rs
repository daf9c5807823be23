//! Whether the server's memory stays what it is under a load that goes on: what it keeps is bounded, whatever was written.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use tokio::task::JoinSet;

use crate::api::{self, Account};
use crate::bench::Bench;
use crate::http::HttpClient;
use crate::keys::KeySource;
use crate::load::send_one;
use crate::process;
use crate::readers::{self, PAGE};
use crate::report::Row;
use crate::scan;
use crate::socket::LiveSocket;
use crate::stats::{median, slope};
use crate::world::{FIRST_MESSAGES, Room, World};

const FIGURE: &str = "memory-flat";
/// Growth that is forgiven from the end of the warm-up to the end, percent.
const BAR_PERCENT: f64 = 10.0;
const ROOMS: usize = 1_000;
const MEMBERS: usize = 5;
const ROOMS_EACH: usize = 5;
/// Operations a second of the whole load, and the clients that share them.
const OPERATIONS_PER_S: u32 = 1_000;
const CLIENTS: u32 = 16;
/// Sockets that are open at any time; each is closed after a while, and another one opened.
const SOCKETS: usize = 200;
/// How long a socket stays: at least this, and up to ten times as long.
const STAY: Duration = Duration::from_secs(1);
const SAMPLE: Duration = Duration::from_secs(2);
/// Caches and the live window fill up before anything is judged: three minutes of ten.
const WARM_UP: f64 = 0.3;
/// The samples at both ends that are compared, a share of all.
const END: f64 = 0.05;
const MIB: f64 = 1_048_576.0;
/// 👍, percent-encoded.
const LIKE: &str = "%F0%9F%91%8D";

/// An even mix of everything for so many minutes, the memory read every two seconds.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let minutes = bench.arguments.memory_minutes;
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let accounts = world.accounts(ROOMS * MEMBERS / ROOMS_EACH).await?;
    let rooms = world.groups(groups(&accounts)).await?;
    world.fill(&rooms, FIRST_MESSAGES).await?;
    let (accounts, rooms): (Arc<[Account]>, Arc<[Room]>) = (accounts.into(), rooms.into());

    let length = Duration::from_mins(minutes);
    let until = Instant::now() + length;
    let done = Arc::new(AtomicU64::new(0));
    let opened = Arc::new(AtomicU64::new(0));
    let mut load = JoinSet::new();
    for number in 0..CLIENTS {
        let person = Person::new(server.http, Arc::clone(&rooms), number as usize)?;
        load.spawn(person.work(number, until, Arc::clone(&done)));
    }
    for number in 0..SOCKETS {
        load.spawn(come_and_go(
            server.http,
            Arc::clone(&accounts),
            number,
            until,
            Arc::clone(&opened),
        ));
    }
    let mut samples = Vec::new();
    let mut sample = tokio::time::interval(SAMPLE);
    while Instant::now() < until {
        tokio::select! {
            _ = sample.tick() => {
                samples.push(process::resident_bytes(server.pid)? as f64 / MIB);
                if samples.len() % 30 == 0 {
                    eprintln!("  {:.1} MiB after {} s", samples[samples.len() - 1], samples.len() as u64 * SAMPLE.as_secs());
                }
            }
            Some(ended) = load.join_next() => ended.context("a client panicked")??,
        }
    }
    while let Some(ended) = load.join_next().await {
        ended.context("a client panicked")??;
    }
    server.stop().await?;
    let store_mib = site.data_bytes()? as f64 / MIB;
    let per_s = |count: &AtomicU64| count.load(Ordering::Relaxed) as f64 / length.as_secs_f64();
    let mut rows = judged(&samples, minutes as f64);
    for (what, unit, value) in [
        ("operations/s", "/s", per_s(&done)),
        ("sockets opened/s", "/s", per_s(&opened)),
        ("size of the store at the end", "MiB", store_mib),
    ] {
        rows.push(Row::reported(FIGURE, what, unit, vec![value]));
    }
    Ok(rows)
}

/// The rows about samples in MiB, evenly taken over so many minutes.
fn judged(samples: &[f64], minutes: f64) -> Vec<Row> {
    let warm = &samples[(samples.len() as f64 * WARM_UP) as usize..];
    let end = ((samples.len() as f64 * END) as usize).clamp(1, warm.len().max(1));
    let (first, last) = (median(&warm[..end]), median(&warm[warm.len() - end..]));
    let growth = (last / first - 1.0) * 100.0;
    let (from, to) = (minutes * WARM_UP, minutes);
    let what = format!("growth of resident memory from minute {from} to {to}");
    let mut rows = vec![Row::at_most(FIGURE, what, "%", vec![growth], BAR_PERCENT)];
    let per_minute = samples.len() as f64 / minutes;
    for (what, unit, value) in [
        ("resident memory when the warm-up is over", "MiB", first),
        ("resident memory at the end", "MiB", last),
        (
            "the least of it since the warm-up",
            "MiB",
            warm.iter().copied().fold(f64::INFINITY, f64::min),
        ),
        (
            "the most of it since the warm-up",
            "MiB",
            warm.iter().copied().fold(0.0, f64::max),
        ),
        ("its slope since the warm-up", "MiB/min", slope(warm) * per_minute),
    ] {
        rows.push(Row::reported(FIGURE, what, unit, vec![value]));
    }
    rows
}

/// Everybody in five groups of five, never the same five.
fn groups(accounts: &[Account]) -> Vec<Vec<Account>> {
    let mut people = accounts.to_vec();
    let mut groups = Vec::new();
    for _ in 0..ROOMS_EACH {
        groups.extend(people.chunks(MEMBERS).map(<[Account]>::to_vec));
        people.rotate_left(1);
    }
    groups
}

/// A message that a client has sent: the room, its author there, its id.
type Own = (usize, usize, String);

/// Somebody who does a bit of everything, in everybody's name.
struct Person {
    client: HttpClient,
    rooms: Arc<[Room]>,
    random: KeySource,
    newest: Option<Own>,
}

impl Person {
    fn new(address: SocketAddr, rooms: Arc<[Room]>, lane: usize) -> Result<Self> {
        Ok(Self {
            client: HttpClient::new(address)?,
            rooms,
            random: KeySource::new(lane),
            newest: None,
        })
    }

    /// Its share of the operations, evenly paced.
    async fn work(mut self, number: u32, until: Instant, done: Arc<AtomicU64>) -> Result<()> {
        let pace = Duration::from_secs(1) / OPERATIONS_PER_S;
        let mut due = tokio::time::Instant::now() + pace * number;
        while Instant::now() < until {
            tokio::time::sleep_until(due).await;
            self.operate().await?;
            done.fetch_add(1, Ordering::Relaxed);
            due += pace * CLIENTS;
        }
        Ok(())
    }

    /// Of ten operations five are sends, two pages, and one each a list, a reaction and an edit.
    async fn operate(&mut self) -> Result<()> {
        let room = self.random.next_number() as usize % self.rooms.len();
        let member = self.random.next_number() as usize % MEMBERS;
        let of = &self.rooms[room];
        match (self.random.next_number() % 10, &self.newest) {
            (0 | 1, _) => {
                let call = readers::page_call(of, PAGE + 1 + self.random.next_number() % PAGE, PAGE)?;
                readers::ask(&mut self.client, &call).await.map(drop)
            }
            (2, _) => readers::whole_list(&mut self.client, &of.members[member])
                .await
                .map(drop),
            (3, Some((room, author, id))) => {
                let of = &self.rooms[*room];
                api::react(&mut self.client, &of.members[(author + 1) % MEMBERS], &of.id, id, LIKE).await
            }
            (4, Some((room, author, id))) => {
                let of = &self.rooms[*room];
                api::edit(&mut self.client, &of.members[*author], &of.id, id, "see you at eight").await
            }
            _ => {
                let answer = send_one(&mut self.client, &of.target(member), &mut self.random, 0).await?;
                let id = scan::last_string_after(&answer.body, b"\"message_id\":\"").context("a send without an id")?;
                self.newest = Some((room, member, String::from_utf8_lossy(id).into_owned()));
                Ok(())
            }
        }
    }
}

/// Opens a socket of somebody, stays for a while, goes, and comes as somebody else.
async fn come_and_go(
    address: SocketAddr,
    accounts: Arc<[Account]>,
    lane: usize,
    until: Instant,
    opened: Arc<AtomicU64>,
) -> Result<()> {
    let mut random = KeySource::new(usize::MAX - lane);
    while Instant::now() < until {
        let account = &accounts[random.next_number() as usize % accounts.len()];
        let mut socket = LiveSocket::open(address, &account.token, 4_096).await?;
        opened.fetch_add(1, Ordering::Relaxed);
        let stay = STAY + STAY * (random.next_number() % 10) as u32;
        // Whether it leaves while a frame comes or between two is chance, as it is for people.
        if let Ok(broke) = tokio::time::timeout(stay, sit(&mut socket)).await {
            broke?;
        }
    }
    Ok(())
}

/// Takes what comes, until somebody stops it or the connection breaks.
async fn sit(socket: &mut LiveSocket) -> Result<()> {
    loop {
        while let Some(frame) = socket.next()? {
            if socket.attend(&frame).await? && scan::head(socket.text(&frame)).op == b"heartbeat" {
                socket.ping().await?;
            }
        }
        socket.fill().await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_that_only_warms_up_is_flat() {
        let samples: Vec<f64> = (0..300).map(|second| f64::from(second.min(80))).collect();
        assert!(judged(&samples, 10.0).iter().all(|row| !row.is_bad()));
    }

    #[test]
    fn memory_that_goes_on_growing_is_not() {
        let samples: Vec<f64> = (100..400).map(f64::from).collect();
        assert!(judged(&samples, 10.0)[0].is_bad());
    }
}
