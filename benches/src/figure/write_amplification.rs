//! What a large room costs a message in the read tables: the same as a small one, counted and not timed.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::api;
use crate::bench::Bench;
use crate::http::HttpClient;
use crate::keys::KeySource;
use crate::load::send_one;
use crate::report::{RATIO, Row};
use crate::world::{Room, World};

/// Rows written to the read model, all tables.
pub(crate) const ROWS_WRITTEN: &str = "cocotalk_read_model_rows_written_total";
/// Messages counted in each room, one after another, so that no two share a batch.
const MESSAGES: u64 = 200;
const SMALL_ROOM: usize = 3;
/// The contract's largest group at creation; the rest is invited.
const AT_CREATION: usize = 1_500;
const INVITED_AT_ONCE: usize = 250;
/// The counts are whole numbers, so this only forgives a row written by something else meanwhile.
const TOLERANCE: f64 = 0.005;
const QUIET_POLL: Duration = Duration::from_millis(250);
const QUIET_DEADLINE: Duration = Duration::from_mins(1);

/// Counts in a small and in a large room.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let members = bench.arguments.members as usize;
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let small = world.rooms(1, SMALL_ROOM).await?;
    let large = large_room(&mut world, server.http, members).await?;
    let path = format!("/v1/rooms/{}", large.id);
    let shown = api::get(&mut HttpClient::new(server.http)?, &path, &large.members[0]).await?;
    ensure!(
        shown["member_count"] == members,
        "the large room has {} members",
        shown["member_count"]
    );
    eprintln!("  the large room has its {members} members");
    let in_small = rows_per_message(server.http, server.admin()?, &small[0]).await?;
    let in_large = rows_per_message(server.http, server.admin()?, &large).await?;
    server.stop().await?;
    let name = "write-amplification";
    let ratio = in_large / in_small;
    let what = format!("rows per message, {members} members over {SMALL_ROOM}");
    Ok(vec![
        Row::at_most(name, what, RATIO, vec![ratio], 1.0 + TOLERANCE).with_bar("= 1.0"),
        Row::reported(
            name,
            format!("rows per message, {SMALL_ROOM} members"),
            "rows",
            vec![in_small],
        ),
        Row::reported(
            name,
            format!("rows per message, {members} members"),
            "rows",
            vec![in_large],
        ),
    ])
}

/// A room of so many new members.
pub(crate) async fn large_room(world: &mut World, address: SocketAddr, members: usize) -> Result<Room> {
    let accounts = world.accounts(members).await?;
    let (first, rest) = accounts.split_at(members.min(AT_CREATION));
    let mut rooms = world.groups(vec![first.to_vec()]).await?;
    let mut room = rooms.pop().context("no room was made")?;
    let mut client = HttpClient::new(address)?;
    for invited in rest.chunks(INVITED_AT_ONCE) {
        let ids: Vec<&str> = invited.iter().map(|account| account.user_id.as_str()).collect();
        api::invite(&mut client, &room.members[0], &room.id, &ids).await?;
        room.members.extend_from_slice(invited);
    }
    Ok(room)
}

async fn rows_per_message(http: SocketAddr, admin: SocketAddr, room: &Room) -> Result<f64> {
    let mut client = HttpClient::new(http)?;
    let mut keys = KeySource::new(0);
    let target = room.target(0);
    // The first message may write what later ones need not.
    send_one(&mut client, &target, &mut keys, 0).await?;
    let before = quiet(admin, ROWS_WRITTEN).await?;
    for number in 0..MESSAGES {
        send_one(&mut client, &target, &mut keys, number).await?;
    }
    Ok((quiet(admin, ROWS_WRITTEN).await? - before) / MESSAGES as f64)
}

/// A counter, once nothing adds to it any more.
pub(crate) async fn quiet(admin: SocketAddr, counter: &str) -> Result<f64> {
    let deadline = Instant::now() + QUIET_DEADLINE;
    let mut last = api::counter(admin, counter).await?;
    loop {
        tokio::time::sleep(QUIET_POLL).await;
        let now = api::counter(admin, counter).await?;
        if now.to_bits() == last.to_bits() {
            return Ok(now);
        }
        ensure!(Instant::now() < deadline, "{counter} keeps rising without any command");
        last = now;
    }
}
