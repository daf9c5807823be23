//! What an idle socket costs the server in memory.

use std::time::Duration;

use anyhow::Result;

use crate::api::Account;
use crate::bench::Bench;
use crate::process;
use crate::report::Row;
use crate::watchers::IdleSockets;
use crate::world::World;

const BAR_KIB: f64 = 10.0;
const ROOMS_EACH: usize = 5;
const ROOM_OF: usize = 10;
/// Memory is read when it no longer rises by more than this between two looks.
const STEADY_BYTES: u64 = 64 * 1_024;
const STEADY_POLL: Duration = Duration::from_millis(500);
const STEADY_LOOKS: usize = 40;

/// Opens the sockets on a freshly started server, so that memory freed while the world was made does not hide theirs.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let sockets = bench.arguments.sockets as usize / ROOM_OF * ROOM_OF;
    let site = bench.site()?;
    let mut server = bench.server(&site).await?;
    let mut world = World::of(server.http)?;
    let accounts = world.accounts(sockets).await?;
    world.groups(groups(&accounts)).await?;
    eprintln!("  {sockets} people with {ROOMS_EACH} rooms each");
    let (mut kib_each, mut before_mib) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs() {
        server.stop().await?;
        server = bench.server(&site).await?;
        let before = steady_bytes(server.pid).await?;
        let idle = IdleSockets::open(server.http, accounts.iter().map(|account| account.token.clone())).await?;
        let after = steady_bytes(server.pid).await?;
        idle.close().await?;
        let kib = after.saturating_sub(before) as f64 / 1_024.0 / sockets as f64;
        eprintln!("  {kib:.2} KiB per socket");
        kib_each.push(kib);
        before_mib.push(before as f64 / 1_048_576.0);
    }
    server.stop().await?;
    let name = "socket-memory";
    let what = format!("resident memory per idle socket, {sockets} sockets, {ROOMS_EACH} rooms each");
    Ok(vec![
        Row::at_most(name, what, "KiB", kib_each, BAR_KIB),
        Row::reported(
            name,
            "resident memory of the server before the first socket",
            "MiB",
            before_mib,
        ),
    ])
}

/// Everybody in five groups of ten, never the same ten.
fn groups(accounts: &[Account]) -> Vec<Vec<Account>> {
    let mut people = accounts.to_vec();
    let mut groups = Vec::new();
    for _ in 0..ROOMS_EACH {
        groups.extend(people.chunks(ROOM_OF).map(<[Account]>::to_vec));
        people.rotate_left(ROOM_OF / ROOMS_EACH);
    }
    groups
}

async fn steady_bytes(pid: u32) -> Result<u64> {
    let mut last = process::resident_bytes(pid)?;
    for _ in 0..STEADY_LOOKS {
        tokio::time::sleep(STEADY_POLL).await;
        let now = process::resident_bytes(pid)?;
        if now.abs_diff(last) <= STEADY_BYTES {
            return Ok(now);
        }
        last = now;
    }
    // It still moves after twenty seconds: what it is now is the honest reading.
    Ok(last)
}
