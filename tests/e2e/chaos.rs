//! `kill -9` under load, twenty times on one growing store; then every promise is checked against what clients were told.
//!
//! Thirty-two senders post over HTTP into eight rooms and repeat, with the same key, whatever was not answered; watchers
//! follow every room on a socket and resume by cursor after each kill. Nothing else is repaired by hand.

use std::collections::BTreeSet;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch::Sender;
use tokio::task::JoinSet;

use crate::crowd::load::Tally;
use crate::crowd::{World, check, load, watch};
use crate::harness::client::Api;
use crate::server::{Folder, Server};

const KILLS: usize = 20;
/// So many commands are on their way, unanswered, at every kill.
const IN_FLIGHT: usize = 20;

/// The seed of this run: printed, and taken from `COCOTALK_CHAOS_SEED` to run the same decisions again.
#[expect(
    clippy::disallowed_methods,
    reason = "a setting of the test, which no configuration of the server holds"
)]
fn seed() -> u64 {
    let given = std::env::var_os("COCOTALK_CHAOS_SEED").and_then(|seed| seed.to_str()?.parse().ok());
    let seed = given.unwrap_or_else(rand::random);
    eprintln!("COCOTALK_CHAOS_SEED={seed}");
    seed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_or_doubled_by_twenty_kills_under_load() {
    let mut rng = StdRng::seed_from_u64(seed());
    let folder = Folder::new();
    let mut server = folder.start();
    let api = Api::at(server.public);
    let world = World::settle(&api).await;
    let (here, _) = tokio::sync::watch::channel(Some(api.clone()));
    let (ends, _) = tokio::sync::watch::channel(None);
    let tally = Tally::default();

    let mut watchers = JoinSet::new();
    for person in &world.watchers {
        watchers.spawn(watch::follow(
            person.clone(),
            here.subscribe(),
            ends.subscribe(),
            rng.random(),
        ));
    }
    let mut senders = JoinSet::new();
    for (index, person) in world.senders.iter().enumerate() {
        let (rooms, tally) = (world.rooms_of(index), tally.clone());
        senders.spawn(load::post_until_stopped(
            person.clone(),
            rooms,
            here.subscribe(),
            tally,
            rng.random(),
        ));
    }
    for round in 0..KILLS {
        let goal = tally.acknowledged() + rng.random_range(30..300);
        tally.reach(goal, IN_FLIGHT).await;
        server = kill_and_restart(&folder, server, &api, &here, &tally, round);
    }
    let goal = tally.acknowledged() + 200;
    tally.reach(goal, IN_FLIGHT).await;
    tally.stop();
    let sent: Vec<_> = senders.join_all().await.into_iter().flatten().collect();
    let world = world.at(&api.moved_to(server.public));
    let heads = check::heads(&world).await;
    ends.send_replace(Some(heads.clone()));
    let watched = watchers.join_all().await;

    eprintln!("{} messages, {tally}", sent.len());
    assert!(
        tally.lost_answers() >= KILLS * IN_FLIGHT / 2,
        "too few answers were lost for the test to mean anything"
    );
    assert!(
        tally.replayed() > 0,
        "no lost answer was of a command that had been done"
    );
    let timelines = check::every_message_is_there_once_in_order(&world, &sent).await;
    check::a_retry_gets_the_same_answer(&world, &sent, &mut rng).await;
    check::unread_numbers_equal_a_recount(&world, &timelines).await;
    for seen in &watched {
        assert!(seen.resumed > 0, "{} never lost a connection", seen.name);
        check::a_watcher_missed_nothing(seen, &timelines, &heads);
    }
    check::changes_are_what_was_seen(&world, &watched[0], &heads).await;
    check_quiet(&server);
}

fn kill_and_restart(
    folder: &Folder,
    server: Server,
    api: &Api,
    here: &Sender<Option<Api>>,
    tally: &Tally,
    round: usize,
) -> Server {
    check_quiet(&server);
    let in_flight = tally.in_flight();
    server.kill();
    here.send_replace(None);
    let started = std::time::Instant::now();
    let server = folder.start();
    let took = started.elapsed();
    eprintln!(
        "kill {}: {in_flight} in flight, {} acknowledged, ready in {took:?}",
        round + 1,
        tally.acknowledged()
    );
    assert!(in_flight >= IN_FLIGHT, "the load had stopped before the kill");
    assert!(
        took < Duration::from_secs(30),
        "a restart does not depend on what was there before"
    );
    here.send_replace(Some(api.moved_to(server.public)));
    server
}

fn check_quiet(server: &Server) {
    let said = server.stderr();
    let loud: BTreeSet<_> = said
        .lines()
        .filter(|line| line.contains(" ERROR ") || line.contains("panicked"))
        .collect();
    assert!(loud.is_empty(), "{loud:?}");
}
