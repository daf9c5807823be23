//! Pages of history and lists of rooms: how long they take with four readers, and how many statements they cost.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::task::JoinSet;

use crate::api;
use crate::bench::Bench;
use crate::http::HttpClient;
use crate::readers::{self, PAGE};
use crate::report::{RATIO, Row};
use crate::world::{Room, World};

/// p50 and p99 of the peers' page of 50 messages.
pub(crate) const PEER_HISTORY_MS: [f64; 2] = [1.8, 9.1];
/// p50 and p99 of the best peer's list of 200 rooms.
pub(crate) const PEER_LIST_MS: [f64; 2] = [7.9, 20.0];
/// Per request the longer answer may cost this much more: something in the background may run a statement meanwhile.
pub(crate) const STATEMENTS_BAR: f64 = 1.05;
const READERS: usize = 4;
const SHORT_PAGE: u64 = 5;
const HISTORY_ROOMS_EACH: usize = 16;
const HISTORY_MESSAGES: usize = 1_000;
const LONG_LIST: usize = 200;
const SHORT_LIST: usize = 20;

/// Four readers turn to random pages of rooms of 1,000 messages.
pub(crate) async fn history(bench: &mut Bench) -> Result<Vec<Row>> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let rooms = world.rooms(READERS * HISTORY_ROOMS_EACH, readers::MEMBERS).await?;
    world.fill(&rooms, HISTORY_MESSAGES).await?;
    check_page(server.http, &rooms[0]).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs() {
        let mut turning = JoinSet::new();
        for (lane, rooms) in rooms.chunks(HISTORY_ROOMS_EACH).enumerate() {
            let client = HttpClient::new(server.http)?;
            let messages = HISTORY_MESSAGES as u64;
            turning.spawn(readers::turn_pages(
                client,
                rooms.to_vec(),
                messages,
                lane,
                bench.length(),
            ));
        }
        let latency = readers::together(turning).await?;
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
    let (accounts, _) = readers::with_rooms(&mut world, READERS, LONG_LIST).await?;
    readers::check_list(server.http, &accounts[0], LONG_LIST).await?;
    let (mut p50, mut p99) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs() {
        let mut asking = JoinSet::new();
        for account in &accounts {
            let client = HttpClient::new(server.http)?;
            asking.spawn(readers::ask_lists(client, account.clone(), bench.length()));
        }
        let latency = readers::together(asking).await?;
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
    let rooms = world.rooms(1, readers::MEMBERS).await?;
    world.fill(&rooms, 100).await?;
    let (long, _) = readers::with_rooms(&mut world, 1, LONG_LIST).await?;
    let (short, _) = readers::with_rooms(&mut world, 1, SHORT_LIST).await?;
    readers::check_list(server.http, &short[0], SHORT_LIST).await?;
    let mut client = HttpClient::new(server.http)?;
    let mut pages = Vec::new();
    for limit in [SHORT_PAGE, PAGE] {
        let call = readers::page_call(&rooms[0], 90, limit)?;
        pages.push(
            readers::statements(admin, &mut client, async |client| {
                readers::ask(client, &call).await.map(|_| 1)
            })
            .await?,
        );
    }
    let mut lists = Vec::new();
    for account in [&short[0], &long[0]] {
        lists.push(
            readers::statements(admin, &mut client, async |client| {
                readers::whole_list(client, account).await
            })
            .await?,
        );
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

async fn check_page(address: SocketAddr, room: &Room) -> Result<()> {
    let path = format!("{}?before=500&limit={PAGE}", room.messages);
    let page = api::get(&mut HttpClient::new(address)?, &path, &room.members[1]).await?;
    let items = page["items"].as_array().map_or(0, Vec::len);
    ensure!(items as u64 == PAGE, "a page of {items} items instead of {PAGE}");
    Ok(())
}
