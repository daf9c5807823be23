//! Pages of history and lists of rooms: how long they take with four readers, and how many statements they cost.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use hyper::Uri;
use tokio::task::JoinSet;

use crate::api::{self, Account};
use crate::bench::Bench;
use crate::http::{Call, HttpClient};
use crate::keys::KeySource;
use crate::report::{RATIO, Row};
use crate::scan;
use crate::stats::Latency;
use crate::world::{Room, World};

/// p50 and p99 of the peers' page of 50 messages.
const PEER_HISTORY_MS: [f64; 2] = [1.8, 9.1];
/// p50 and p99 of the best peer's list of 200 rooms.
const PEER_LIST_MS: [f64; 2] = [7.9, 20.0];
/// Per request the longer answer may cost this much more: something in the background may run a statement meanwhile.
const STATEMENTS_BAR: f64 = 1.05;
const STATEMENTS: &str = "cocotalk_embedded_statements_total";
const READERS: usize = 4;
const MEMBERS: usize = 10;
const PAGE: u64 = 50;
const SHORT_PAGE: u64 = 5;
const HISTORY_ROOMS_EACH: usize = 16;
const HISTORY_MESSAGES: usize = 1_000;
const LONG_LIST: usize = 200;
const SHORT_LIST: usize = 20;
/// Messages in every listed room, none of them the reader's, so that the list has something to count and to preview.
const LIST_MESSAGES: usize = 3;
/// Requests of each kind whose statements are counted.
const COUNTED: u32 = 200;

/// Four readers turn to random pages of rooms of 1,000 messages.
pub(crate) async fn history(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let rooms = world.rooms(READERS * HISTORY_ROOMS_EACH, MEMBERS).await?;
    world.fill(&rooms, HISTORY_MESSAGES).await?;
    check_page(server.http, &rooms[0]).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs() {
        let mut readers = JoinSet::new();
        for (lane, rooms) in rooms.chunks(HISTORY_ROOMS_EACH).enumerate() {
            let client = HttpClient::new(server.http)?;
            readers.spawn(turn_pages(client, rooms.to_vec(), lane, bench.length()));
        }
        let latency = together(readers).await?;
        p50.push(latency.p50_ms);
        p99.push(latency.p99_ms);
    }
    server.stop().await?;
    Ok(vec![
        Row::ahead_of("history", "page of 50 p50, four readers", "ms", p50, PEER_HISTORY_MS[0]),
        Row::ahead_of("history", "page of 50 p99, four readers", "ms", p99, PEER_HISTORY_MS[1]),
    ])
}

/// Four readers ask for their whole list of 200 rooms, two pages of 100, again and again.
pub(crate) async fn list(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let accounts = readers_with_rooms(&mut world, READERS, LONG_LIST).await?;
    check_list(server.http, &accounts[0], LONG_LIST).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs() {
        let mut readers = JoinSet::new();
        for account in &accounts {
            let client = HttpClient::new(server.http)?;
            readers.spawn(ask_lists(client, account.clone(), bench.length()));
        }
        let latency = together(readers).await?;
        p50.push(latency.p50_ms);
        p99.push(latency.p99_ms);
    }
    server.stop().await?;
    Ok(vec![
        Row::ahead_of(
            "list",
            "list of 200 rooms p50, four readers",
            "ms",
            p50,
            PEER_LIST_MS[0],
        ),
        Row::ahead_of(
            "list",
            "list of 200 rooms p99, four readers",
            "ms",
            p99,
            PEER_LIST_MS[1],
        ),
    ])
}

/// Counts the statements of requests with few and with many items.
pub(crate) async fn statements(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let admin = server.admin()?;
    let mut world = World::of(server.http)?;
    let rooms = world.rooms(1, MEMBERS).await?;
    world.fill(&rooms, 100).await?;
    let long = readers_with_rooms(&mut world, 1, LONG_LIST).await?;
    let short = readers_with_rooms(&mut world, 1, SHORT_LIST).await?;
    check_list(server.http, &short[0], SHORT_LIST).await?;
    let mut client = HttpClient::new(server.http)?;
    let mut pages = Vec::new();
    for limit in [SHORT_PAGE, PAGE] {
        let call = page_call(&rooms[0], 90, limit)?;
        pages.push(counted(admin, &mut client, async |client| ask(client, &call).await.map(|_| 1)).await?);
    }
    let mut lists = Vec::new();
    for account in [&short[0], &long[0]] {
        lists.push(counted(admin, &mut client, async |client| whole_list(client, account).await).await?);
    }
    server.stop().await?;
    let name = "statements";
    let row = |what: &str, pair: &[f64]| {
        let what = format!("{what} ({:.2} over {:.2} a request)", pair[1], pair[0]);
        Row::at_most(name, what, RATIO, vec![pair[1] / pair[0]], STATEMENTS_BAR).with_bar("1.0 (within 0.05)")
    };
    Ok(vec![
        row("statements of a page of 50 over a page of 5", &pages),
        row("statements of a list of 200 over a list of 20", &lists),
    ])
}

/// Statements per request, where `ask` says how many requests it made.
async fn counted(
    admin: SocketAddr,
    client: &mut HttpClient,
    ask: impl AsyncFn(&mut HttpClient) -> Result<u32>,
) -> Result<f64> {
    // The first answer may fill a cache or prepare a statement.
    ask(client).await?;
    let before = api::counter(admin, STATEMENTS).await?;
    let mut requests = 0;
    while requests < COUNTED {
        requests += ask(client).await?;
    }
    Ok((api::counter(admin, STATEMENTS).await? - before) / f64::from(requests))
}

/// `count` people with `rooms_each` rooms of ten; the others of each room made it and wrote in it.
async fn readers_with_rooms(world: &mut World, count: usize, rooms_each: usize) -> Result<Vec<Account>> {
    let readers = world.accounts(count).await?;
    let others = world.accounts(rooms_each.max(MEMBERS)).await?;
    let mut people = Vec::new();
    for reader in &readers {
        for room in 0..rooms_each {
            let mut members: Vec<Account> = others.iter().cycle().skip(room).take(MEMBERS - 1).cloned().collect();
            members.push(reader.clone());
            people.push(members);
        }
    }
    let rooms = world.groups(people).await?;
    world.fill(&rooms, LIST_MESSAGES).await?;
    Ok(readers)
}

async fn together(mut readers: JoinSet<Result<Vec<u32>>>) -> Result<Latency> {
    let mut samples_us = Vec::new();
    while let Some(ended) = readers.join_next().await {
        samples_us.extend(ended.context("a reader panicked")??);
    }
    let count = samples_us.len();
    let latency = Latency::of(samples_us);
    eprintln!(
        "  p50 {:.3} ms, p99 {:.3} ms of {count}",
        latency.p50_ms, latency.p99_ms
    );
    Ok(latency)
}

async fn turn_pages(mut client: HttpClient, rooms: Vec<Room>, lane: usize, length: Duration) -> Result<Vec<u32>> {
    let mut random = KeySource::new(lane);
    let mut samples_us = Vec::new();
    let until = Instant::now() + length;
    while Instant::now() < until {
        let room = &rooms[random.next_number() as usize % rooms.len()];
        let before = PAGE + 1 + random.next_number() % (HISTORY_MESSAGES as u64 - PAGE);
        let call = page_call(room, before, PAGE)?;
        let start = Instant::now();
        ask(&mut client, &call).await?;
        samples_us.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(samples_us)
}

async fn ask_lists(mut client: HttpClient, account: Account, length: Duration) -> Result<Vec<u32>> {
    let mut samples_us = Vec::new();
    let until = Instant::now() + length;
    while Instant::now() < until {
        let start = Instant::now();
        whole_list(&mut client, &account).await?;
        samples_us.push(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
    Ok(samples_us)
}

/// Asks for all pages of a list; answers how many there were.
async fn whole_list(client: &mut HttpClient, account: &Account) -> Result<u32> {
    let mut path = "/v1/rooms?limit=100".to_owned();
    let mut pages = 0;
    loop {
        let uri: Uri = path.parse().context("a cursor that fits no path")?;
        let body = ask(client, &Call::get(uri, Some(account.authorization.clone()))).await?;
        pages += 1;
        let Some(cursor) = scan::last_string_after(&body, b"\"next_cursor\":\"") else {
            return Ok(pages);
        };
        path = format!("/v1/rooms?limit=100&cursor={}", percent_encoded(cursor));
    }
}

fn page_call(room: &Room, before: u64, limit: u64) -> Result<Call> {
    let uri = format!("{}?before={before}&limit={limit}", room.messages)
        .parse()
        .context("not a path")?;
    let reader = room.members.get(1).context("a room without a reader")?;
    Ok(Call::get(uri, Some(reader.authorization.clone())))
}

async fn ask(client: &mut HttpClient, call: &Call) -> Result<bytes::Bytes> {
    let answer = client.call(call).await?;
    ensure!(answer.status.is_success(), "{} answered {}", call.uri, answer.status);
    Ok(answer.body)
}

async fn check_page(address: SocketAddr, room: &Room) -> Result<()> {
    let path = format!("{}?before=500&limit={PAGE}", room.messages);
    let page = api::get(&mut HttpClient::new(address)?, &path, &room.members[1]).await?;
    let items = page["items"].as_array().map_or(0, Vec::len);
    ensure!(items as u64 == PAGE, "a page of {items} items instead of {PAGE}");
    Ok(())
}

async fn check_list(address: SocketAddr, account: &Account, rooms: usize) -> Result<()> {
    let mut client = HttpClient::new(address)?;
    let list = api::get(&mut client, "/v1/rooms?limit=100", account).await?;
    let items = list["items"].as_array().map_or(0, Vec::len);
    ensure!(
        items == rooms.min(100),
        "a page of {items} rooms instead of {}",
        rooms.min(100)
    );
    let pages = whole_list(&mut client, account).await?;
    ensure!(pages as usize == rooms.div_ceil(100), "{rooms} rooms in {pages} pages");
    Ok(())
}

/// A cursor is opaque, so nothing is assumed about its characters.
fn percent_encoded(cursor: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::new();
    for byte in cursor {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            encoded.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_of_any_form_fit_a_query() {
        assert_eq!(percent_encoded(b"aZ9-_.~"), "aZ9-_.~");
        assert_eq!(percent_encoded(b"a+/=&"), "a%2B%2F%3D%26");
    }
}
