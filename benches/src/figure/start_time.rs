//! What a large store costs a start: nothing that grows with it.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::child::Site;
use crate::load::{self, Bound};
use crate::report::Row;
use crate::stats::median;
use crate::world::{Room, World};

const BAR_S: f64 = 2.0;
const FEW_EVENTS: u64 = 10_000;
const ROOMS: usize = 64;
const MEMBERS: usize = 3;
/// "Not growing" forgives this, or a tenth of the start with few events, whichever is more: starts scatter by that.
const SCATTER_S: f64 = 0.025;
/// How long a load runs before the server is killed under it.
const LOAD_BEFORE_KILL: Duration = Duration::from_secs(1);
/// Writing the events fails if it takes longer.
const FILL_DEADLINE: Duration = Duration::from_hours(1);

/// Starts over few and over many events by turns, and after a kill.
pub(crate) async fn measure(bench: &mut Bench) -> Result<Vec<Row>> {
    let events = bench.arguments.events;
    let few = filled(bench, FEW_EVENTS.min(events)).await?;
    let many = filled(bench, events).await?;
    let (mut few_s, mut many_s, mut added_s) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.runs() {
        let with_few = start(bench, &few).await?;
        let with_many = start(bench, &many).await?;
        eprintln!("  ready after {with_few:.3} s with few events, {with_many:.3} s with {events}");
        few_s.push(with_few);
        many_s.push(with_many);
        added_s.push(with_many - with_few);
    }
    let killed_s = after_kills(bench, &many).await?;
    let scatter = (median(&few_s) / 10.0).max(SCATTER_S);
    let name = "start-time";
    Ok(vec![
        Row::at_most(name, format!("start to ready, {events} events"), "s", many_s, BAR_S),
        Row::at_most(
            name,
            format!("added by {events} events over {FEW_EVENTS}"),
            "s",
            added_s,
            scatter,
        )
        .with_bar(format!("none (within {scatter:.3})")),
        Row::at_most(
            name,
            format!("start to ready, {events} events, after kill -9 under load"),
            "s",
            killed_s,
            BAR_S,
        ),
        Row::reported(name, format!("start to ready, {FEW_EVENTS} events"), "s", few_s),
    ])
}

/// A stopped store, and rooms in it that can be sent to after any restart.
struct Filled {
    site: Site,
    rooms: Vec<Room>,
}

/// A store with at least so many events: every message is one.
async fn filled(bench: &Bench, events: u64) -> Result<Filled> {
    let site = bench.site()?;
    let server = bench.server(&site).await?;
    let rooms = World::of(server.http)?.rooms(ROOMS, MEMBERS).await?;
    let sent = load::send(server.http, &rooms, ROOMS, &Bound::count(events, FILL_DEADLINE)).await?;
    ensure!(
        sent.acked() == events,
        "{} of {events} events were written",
        sent.acked()
    );
    eprintln!("  {events} events written at {:.0}/s", sent.per_s());
    server.stop().await?;
    Ok(Filled { site, rooms })
}

/// Seconds from start to ready.
async fn start(bench: &Bench, store: &Filled) -> Result<f64> {
    let server = bench.server(&store.site).await?;
    let ready_after = server.ready_after.as_secs_f64();
    server.stop().await?;
    Ok(ready_after)
}

/// The same after the server was killed under load, so that the start finds what a crash leaves.
async fn after_kills(bench: &Bench, store: &Filled) -> Result<Vec<f64>> {
    let mut killed_s = Vec::new();
    for _ in 0..bench.runs() {
        let server = bench.server(&store.site).await?;
        load::send(server.http, &store.rooms, ROOMS, &Bound::time(LOAD_BEFORE_KILL)).await?;
        server.kill().await?;
        killed_s.push(start(bench, store).await?);
    }
    Ok(killed_s)
}
