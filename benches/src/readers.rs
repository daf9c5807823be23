//! People who read: pages of history, lists of rooms, and how many statements that costs.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use hyper::Uri;
use tokio::task::JoinSet;

use crate::api::{self, Account};
use crate::http::{Call, HttpClient};
use crate::keys::KeySource;
use crate::scan;
use crate::stats::Latency;
use crate::world::{Room, World};

/// Items of a page of history.
pub(crate) const PAGE: u64 = 50;
/// Members of a room that is listed.
pub(crate) const MEMBERS: usize = 10;
/// SQL statements, all roles.
const STATEMENTS: &str = "cocotalk_embedded_statements_total";
/// Messages in every listed room, none of them the reader's, so that the list has something to count and to preview.
const LIST_MESSAGES: usize = 3;
/// Requests of each kind whose statements are counted.
const COUNTED: u32 = 200;

/// `count` people with `rooms_each` rooms of ten, those of one person after those of another; the others of each room made it
/// and wrote in it.
pub(crate) async fn with_rooms(
    world: &mut World,
    count: usize,
    rooms_each: usize,
) -> Result<(Vec<Account>, Vec<Room>)> {
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
    Ok((readers, rooms))
}

/// The times of all of them.
pub(crate) async fn together(mut readers: JoinSet<Result<Vec<u32>>>) -> Result<Latency> {
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

/// Turns to random pages of `rooms`, each of which has at least `items` items, until `length` is over; microseconds a page.
pub(crate) async fn turn_pages(
    mut client: HttpClient,
    rooms: Vec<Room>,
    items: u64,
    lane: usize,
    length: Duration,
) -> Result<Vec<u32>> {
    let mut random = KeySource::new(lane);
    let mut samples_us = Vec::new();
    let until = Instant::now() + length;
    while Instant::now() < until {
        let room = &rooms[random.next_number() as usize % rooms.len()];
        let before = PAGE + 1 + random.next_number() % (items - PAGE);
        let call = page_call(room, before, PAGE)?;
        samples_us.push(timed(&mut client, &call).await?);
    }
    Ok(samples_us)
}

/// Asks for a whole list until `length` is over; microseconds a list.
pub(crate) async fn ask_lists(mut client: HttpClient, account: Account, length: Duration) -> Result<Vec<u32>> {
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
pub(crate) async fn whole_list(client: &mut HttpClient, account: &Account) -> Result<u32> {
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

/// The `limit` items before `before`, as a member other than the first sees them.
pub(crate) fn page_call(room: &Room, before: u64, limit: u64) -> Result<Call> {
    let uri = format!("{}?before={before}&limit={limit}", room.messages)
        .parse()
        .context("not a path")?;
    let reader = room.members.get(1).context("a room without a reader")?;
    Ok(Call::get(uri, Some(reader.authorization.clone())))
}

/// A query; an answer that is no success is an error.
pub(crate) async fn ask(client: &mut HttpClient, call: &Call) -> Result<Bytes> {
    let answer = client.call(call).await?;
    ensure!(answer.status.is_success(), "{} answered {}", call.uri, answer.status);
    Ok(answer.body)
}

/// Microseconds that a query takes.
pub(crate) async fn timed(client: &mut HttpClient, call: &Call) -> Result<u32> {
    let start = Instant::now();
    ask(client, call).await?;
    Ok(u32::try_from(start.elapsed().as_micros()).unwrap_or(u32::MAX))
}

/// That the list of a person has so many rooms.
pub(crate) async fn check_list(address: SocketAddr, account: &Account, rooms: usize) -> Result<()> {
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

/// Statements per request, where `ask` says how many requests it made.
pub(crate) async fn statements(
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
