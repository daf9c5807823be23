//! What a large room costs a message in the CQL store: the same as a small one, counted by the store's driver and not timed.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use super::ClusterArguments;
use super::platform::{Platform, newest, until_shown};
use super::stores::Servers;
use crate::api;
use crate::child::Running;
use crate::figure::write_amplification::{ROWS_WRITTEN, large_room, quiet};
use crate::http::HttpClient;
use crate::keys::KeySource;
use crate::load::send_one;
use crate::report::{RATIO, Row};
use crate::world::{Room, World};

const FIGURE: &str = "cql-writes";
/// Requests that the driver of the projectors has sent.
const REQUESTS: &str = "cocotalk_cql_requests_total";
const SMALL_ROOM: usize = 3;
const LARGE_ROOM: usize = 3_000;
/// Messages counted in each room, each after the one before it is shown, so that no two share a write.
const MESSAGES: u64 = 100;
/// The counts are whole numbers, so this only forgives what is written by something else meanwhile.
const TOLERANCE: f64 = 0.02;
const MADE: Duration = Duration::from_mins(2);

struct Counted {
    requests: f64,
    rows: f64,
}

/// Counts in a small and in a large room.
pub(crate) async fn measure(arguments: &ClusterArguments, servers: &Servers) -> Result<Vec<Row>> {
    let platform = Platform::install(arguments, servers).await?;
    let (command, query) = (platform.start("command-api").await?, platform.start("query-api").await?);
    let (relay, projectors) = (platform.start("relay").await?, platform.start("projectors").await?);
    let mut world = World::of(command.http)?;
    let small = world.rooms(1, SMALL_ROOM).await?;
    let large = large_room(&mut world, command.http, LARGE_ROOM).await?;
    has_its_members(&query, &large).await?;
    let (mut requests, mut rows) = (Vec::new(), Vec::new());
    for room in [&small[0], &large] {
        let counted = per_message(&command, &query, &projectors, room).await?;
        requests.push(counted.requests);
        rows.push(counted.rows);
    }
    for process in [command, query, projectors, relay] {
        process.stop().await?;
    }
    let what = |what: &str| format!("{what} per message, room of {LARGE_ROOM} over one of {SMALL_ROOM}");
    let ratio = |counts: &[f64]| vec![counts[1] / counts[0]];
    let bar = 1.0 + TOLERANCE;
    Ok(vec![
        Row::at_most(FIGURE, what("requests to the store"), RATIO, ratio(&requests), bar).with_bar("= 1.0"),
        Row::at_most(FIGURE, what("rows"), RATIO, ratio(&rows), bar).with_bar("= 1.0"),
        Row::reported(
            FIGURE,
            "requests per message, with its share of checkpoints",
            "",
            vec![requests[0]],
        ),
        Row::reported(FIGURE, "rows per message", "", vec![rows[0]]),
    ])
}

/// Waits until the read model has all members of the room.
async fn has_its_members(query: &Running, room: &Room) -> Result<()> {
    let (mut client, deadline) = (HttpClient::new(query.http)?, Instant::now() + MADE);
    loop {
        let shown = api::get(&mut client, &format!("/v1/rooms/{}", room.id), &room.members[0]).await;
        if shown.is_ok_and(|shown| shown["member_count"] == LARGE_ROOM) {
            return Ok(());
        }
        ensure!(
            Instant::now() < deadline,
            "the large room never has its {LARGE_ROOM} members"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn per_message(command: &Running, query: &Running, projectors: &Running, room: &Room) -> Result<Counted> {
    let (mut client, mut reader) = (HttpClient::new(command.http)?, HttpClient::new(query.http)?);
    let (mut keys, target) = (KeySource::new(0), room.target(0));
    let admin = projectors.admin()?;
    let mut send = async |number| {
        let answer = send_one(&mut client, &target, &mut keys, number).await?;
        let position = answer.position.context("a command that landed nowhere")?;
        until_shown(&mut reader, &newest(room, Some(position))?).await.map(drop)
    };
    // The first message may write what later ones need not.
    send(0).await?;
    let before = [quiet(admin, REQUESTS).await?, quiet(admin, ROWS_WRITTEN).await?];
    for number in 0..MESSAGES {
        send(number).await?;
    }
    let after = [quiet(admin, REQUESTS).await?, quiet(admin, ROWS_WRITTEN).await?];
    Ok(Counted {
        requests: (after[0] - before[0]) / MESSAGES as f64,
        rows: (after[1] - before[1]) / MESSAGES as f64,
    })
}
